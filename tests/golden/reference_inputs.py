"""Deterministic images, training targets and detection cases for the golden fixtures.

Pure numpy, reproducible as reference_weights.py says.

    images = make_images()                    # two uint8 RGB images
    batch  = make_train_batch(550)            # images + ground truth for the losses
    loc, prob, mask, priors = make_detect_case(kind, seed)
"""

import numpy as np

from tests.golden.reference_weights import SALT, integers, uniform

# --------------------------------------------------------------------------
# images
# --------------------------------------------------------------------------

IMAGE_SIZES = ((480, 640), (427, 500))  # (height, width)


def _triangle(x):
    """triangle wave of period 1 with values in [0, 1]."""
    f = x - np.floor(x)
    return 1.0 - np.abs(2.0 * f - 1.0)


def make_image(index, height, width, tag=None):
    """One synthetic uint8 RGB image [height, width, 3]."""
    tag = SALT + ("image/%d/" % index if tag is None else tag)
    y = (np.arange(height, dtype=np.float64) + 0.5)[:, None] / height
    x = (np.arange(width, dtype=np.float64) + 0.5)[None, :] / width
    img = np.empty((height, width, 3), np.float64)
    for c in range(3):
        a = uniform(tag + "bg%d" % c, (6,), -1.0, 1.0)
        g = 120.0 + 60.0 * (a[0] * (x - 0.5) + a[1] * (y - 0.5)) * 2.0
        g = g + 25.0 * (_triangle(a[2] * 3.0 * x + a[3] * 3.0 * y + a[4]) - 0.5)
        img[:, :, c] = g
    n = 26
    px = np.arange(width, dtype=np.float64)[None, :] + 0.5
    py = np.arange(height, dtype=np.float64)[:, None] + 0.5
    for k in range(n):
        r = uniform(tag + "shape%d" % k, (16,))
        size = 14.0 + 170.0 * r[0] * r[0]
        w = size * (0.6 + 0.9 * r[1])
        h = size * (0.6 + 0.9 * r[2])
        cx, cy = width * r[3], height * r[4]
        u, v = (px - cx) / (0.5 * w), (py - cy) / (0.5 * h)
        if r[5] < 0.45:
            inside = np.maximum(np.abs(u), np.abs(v)) <= 1.0
        elif r[5] < 0.9:
            inside = u * u + v * v <= 1.0
        else:
            inside = np.abs(u) + np.abs(v) <= 1.0
        shade = 1.0 + 0.35 * (r[6] - 0.5) * u + 0.35 * (r[7] - 0.5) * v
        if r[8] < 0.5:
            freq = 0.03 + 0.10 * r[9]
            shade = shade * (0.7 + 0.6 * _triangle(freq * (px * r[10] + py * (1.0 - r[10]))))
        for c in range(3):
            col = 20.0 + 215.0 * r[11 + c]
            img[:, :, c] = np.where(inside, col * shade, img[:, :, c])
    img = img + (uniform(tag + "grain", (height, width, 1)) - 0.5) * 6.0
    return np.clip(np.floor(img + 0.5), 0, 255).astype(np.uint8)


def make_images():
    return [make_image(i, h, w) for i, (h, w) in enumerate(IMAGE_SIZES)]


# --------------------------------------------------------------------------
# a training batch
# --------------------------------------------------------------------------

# (shape, class index from 0, x1, y1, x2, y2) in pixels of a 550x550 image.
# Crowd regions have class -1 and come last.  One object is so small that its
# mask covers fewer than 25 prototype pixels; two of a class overlap.
TRAIN_OBJECTS = (
    (
        ("rect", 0, 60, 80, 250, 330),
        ("ellipse", 16, 300, 60, 380, 150),
        ("ellipse", 16, 350, 100, 440, 210),
        ("rect", 39, 470, 420, 486, 437),
        ("diamond", 2, 120, 380, 280, 520),
        ("rect", -1, 330, 290, 540, 400),
    ),
    (
        ("ellipse", 5, 20, 30, 530, 500),
        ("rect", 56, 203, 221, 297, 318),
        ("ellipse", 0, 400, 60, 500, 140),
        ("rect", 73, 30, 500, 62, 540),
    ),
)


def make_train_batch(size=550):
    """Two training examples, no augmentation, already at the network's size.

    Each is a dict: image uint8 RGB [S,S,3]; masks uint8 [n,S,S]; boxes float32
    [n,4], the tight box of each mask as x1,y1,x2,y2 divided by S (x2,y2 exclusive);
    classes int64 [n] from 0 (crowds: -1); num_crowds.
    """
    out = []
    p = (np.arange(size, dtype=np.float64) + 0.5) * (550.0 / size)
    px, py = p[None, :], p[:, None]
    for i, objects in enumerate(TRAIN_OBJECTS):
        tag = SALT + "train/%d/" % i
        img = make_image(i, size, size, tag).astype(np.float64)
        masks, boxes, classes = [], [], []
        for k, (kind, cls, x1, y1, x2, y2) in enumerate(objects):
            u = (px - 0.5 * (x1 + x2)) / (0.5 * (x2 - x1))
            v = (py - 0.5 * (y1 + y2)) / (0.5 * (y2 - y1))
            if kind == "rect":
                m = np.maximum(np.abs(u), np.abs(v)) <= 1.0
            elif kind == "ellipse":
                m = u * u + v * v <= 1.0
            else:
                m = np.abs(u) + np.abs(v) <= 1.0
            rgb = uniform(tag + "object%d" % k, (3,), 20.0, 235.0)
            shade = 1.0 + 0.2 * u * 0.5 + 0.2 * v * 0.5
            for c in range(3):
                img[:, :, c] = np.where(
                    m, 0.75 * rgb[c] * shade + 0.25 * img[:, :, c], img[:, :, c]
                )
            xs, ys = np.nonzero(m.any(0))[0], np.nonzero(m.any(1))[0]
            masks.append(m)
            boxes.append([xs[0] / size, ys[0] / size, (xs[-1] + 1) / size, (ys[-1] + 1) / size])
            classes.append(cls)
        out.append(
            {
                "image": np.clip(np.floor(img + 0.5), 0, 255).astype(np.uint8),
                "masks": np.stack(masks).astype(np.uint8),
                "boxes": np.asarray(boxes, np.float32),
                "classes": np.asarray(classes, np.int64),
                "num_crowds": int(sum(c < 0 for c in classes)),
            }
        )
    return out


# --------------------------------------------------------------------------
# raw predictions for testing decode + NMS alone
# --------------------------------------------------------------------------


def make_detect_case(kind, seed=0):
    """Hand-built raw predictions on which every NMS setting shows.

    The whole-network goldens never have enough good candidates per class for
    top_k to matter; here it does.  Boxes come in tight clusters and the best
    clusters hold most of the high scores, so the 200 best of a class collapse to
    few survivors while good boxes wait behind rank 200 (kind "dense").  Kind "sparse"
    has few boxes with scores on both sides of 0.05, so the score thresholds and what
    happens below the 100-detection cap show.

    Returns loc [N,4], prob [N,6] (rows sum to 1, column 0 is background), mask [N,4]
    (mask[:,0] is the row number, so a detection can be traced to its anchor)
    and priors [N,4], all float32.
    """
    tag = SALT + "detect/%s/%d/" % (kind, seed)
    n, classes, clusters = {"dense": (1400, 6, 48), "sparse": (64, 6, 30)}[kind]
    cluster = integers(tag + "cluster", (n,), 0, clusters)
    centre = uniform(tag + "centre", (clusters, 2), 0.12, 0.88)
    size = uniform(tag + "size", (clusters, 2), 0.06, 0.24)
    jitter = uniform(tag + "jitter", (n, 4), -1.0, 1.0)
    wh = size[cluster] * (1.0 + 0.16 * jitter[:, 2:])
    priors = np.concatenate([centre[cluster] + 0.10 * size[cluster] * jitter[:, :2], wh], 1)
    loc = uniform(tag + "loc", (n, 4), -0.6, 0.6)
    # main class of the cluster (two of the five get nearly everything), and its level
    main = 1 + np.where(cluster % 4 < 3, cluster % 2, 2 + cluster % 3)
    r = uniform(tag + "score", (n, 3))
    level = 0.95 - 0.93 * (cluster.astype(np.float64) + 1.0) / clusters
    top = np.clip(level + 0.10 * (r[:, 0] - 0.5), 0.004, 0.96)
    if kind == "sparse":
        top = 0.02 + 0.3 * r[:, 0] * r[:, 0]
    second = (1.0 - top) * 0.5 * r[:, 1] * r[:, 1] if kind == "dense" else 0.12 * r[:, 1] * r[:, 1]
    other = 1 + (main + (r[:, 2] * 4).astype(np.int64)) % 5
    other = np.where(other == main, 1 + main % 5, other)
    prob = np.zeros((n, classes))
    rest = 1.0 - top - second
    prob[:, 1:] += 0.01 * rest[:, None] * uniform(tag + "rest", (n, classes - 1))
    prob[np.arange(n), main] += top
    prob[np.arange(n), other] += second
    prob[:, 0] = np.maximum(1.0 - prob[:, 1:].sum(1), 0.0)
    mask = uniform(tag + "coef", (n, 4), -1.0, 1.0)
    mask[:, 0] = np.arange(n)
    return tuple(a.astype(np.float32) for a in (loc, prob, mask, priors))
