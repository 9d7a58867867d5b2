"""How sure a CLIP is of what a picture shows, family by family, and how far a caption may be believed beside it.

A phrase's similarity to a picture alone says little: some phrases are near all pictures. So each is taken less its mean
over many others (`bank`), concepts are the mean of their wordings and compared within their family (`likelihoods`),
and the caption is a second witness whose errors are others (`trust`).
"""
