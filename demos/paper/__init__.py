"""The figures that DeepCache's paper prints, counted anew."""
