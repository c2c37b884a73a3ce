"""What is compared: the parts of YOLACT and YOLACT++, and the words that describe a run.

Axis letters, used in every annotation and comment:
    B  images in a batch          A  anchors                  C  classes, background excluded
    N  detections or objects      K  kept candidates          k  prototypes (and coefficients)
    H, W  image size in pixels    h, w  prototype map size    S  side of the network's square input

Boxes are corner fractions of the image, [x1 y1 x2 y2], unless the name says otherwise
(`_cxcywh`: centre and size, `_px`: pixels). Labels are contiguous and start at 0; the category
ids of a data set exist only at the data set's own border. Images are RGB uint8 [H, W, 3].
"""
