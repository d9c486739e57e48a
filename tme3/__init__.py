"""TME 3: images. Its scripts are not written yet."""
