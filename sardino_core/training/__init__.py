"""From labelled rasters to a model file: windows, augmentation, loss, the training loop, evaluation, calibration.

Importing this package costs nothing; `losses`, `augment`, `finetune` and `evaluate` import torch.
"""
