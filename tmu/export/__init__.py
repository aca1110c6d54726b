"""A model in forms that others read: safetensors with a configuration, `torch.export`, ONNX; with a model card."""
