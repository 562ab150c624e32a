"""The starter's recipe and how it is judged."""
