"""What is compared: the parts of YOLACT and YOLACT++, and the words that describe a run.

Axis letters, used in every annotation and comment:
    B  images in a batch          A  anchors                  C  classes, background excluded
    N  detections or objects      M  a second set of them     K  kept candidates
    P  positives                  Q  pairs sampled of them    R  rows of any kind
    G  objects of the ground truth                            C1 classes, background included
    k  prototypes (and coefficients)                          n  some of N, or images of a split
    m  objects in a drawn image   a  anchors of a block       r  boxes that share a level
    H, W  image size in pixels    h, w  prototype map size    S  side of the network's square input
    h3, w3  size of P3            s  side of a resampled box  c  channels of a feature map
    I, O  channels in and out     *batch  B, or nothing       _  any size
Other sizes are words, such as cells, rows and columns.

Boxes are corner fractions of the image, [x1 y1 x2 y2], unless the name says otherwise
(`_cxcywh`: centre and size, `_px`: pixels). Labels are contiguous and start at 0; the category
ids of a data set exist only at the data set's own border. Images are RGB uint8 [H, W, 3].

Public: `build.load_detector`, `build.build_losses`, `catalog.components`, `results`.
"""
