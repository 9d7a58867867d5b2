"""The honest search: what a picture shows, as far as CLIP and caption are sure of it together, and nothing else.

`saying` goes through the families and says the likeliest concept of each that the caption leaves out; `correcting`
changes a caption's word that both together are sure is wrong; `listed` adds what the lists know and no family does,
where the picture supports it and the prompt gains by it.
"""
