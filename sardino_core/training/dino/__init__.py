"""Self-distillation: views, network, losses, one step, its plan and its health."""
