"""The study: DINO against training from scratch, few labels and many, on places apart."""
