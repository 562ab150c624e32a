"""Networks, the model file, and the two predictors behind one seam (torch, ONNX Runtime).

Importing this package costs nothing. `model_file`, `export_file` and `predictor` need numpy alone; `vit`, `heads`,
`network`, `export` and `predictor_torch` import torch at their top and are imported where they are used. Nothing here
reads rasters or knows a coordinate system.
"""
