"""Whole slides: read at the model's µm/px, segmented in one pass of bounded memory, written for other programs; and cohorts
of them (``inference_wsi``)."""
