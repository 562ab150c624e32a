"""How a probe works, as the report tells it."""

METHOD = (
    "Support. Every feature set describes the same patches, and a patch has one class: that of most of its labelled"
    " pixels. Mixed patches are left out, so that the figures are about the inside of land covers, not about "
    "borders.",
    "Folds. The patches of a place (rasters of the same or neighbouring ground) are held out together. Whatever is "
    "fitted or chosen - scaling, components, the best head, the penalty, the leaves - is fitted and chosen inside the "
    "training fold, the latter three by splits between its places.",
    "Probes. Multinomial logistic regression on standardised features, and a random forest; every class weighs the "
    "same in fitting unless `balance` is off. Where one head is tried after the other, a tree stands for the forest.",
    "Attention is that of the class token to each patch, renormalised over the patches and times their number (1: "
    "like all others). It is a softmax over one window and relative to it. Before the softmax: query times key over"
    " the root of the head's width, less its mean over the window; it differs from the logarithm of the attention "
    "by a constant for each window.",
    "SAR in context holds, for each band in dB, mean, deviation and three quantiles over the patch and over the 3 x"
    " 3 and 5 x 5 patches around it, mean and deviation over the window, and the patch less the window: the pixels "
    "that attention can see, but not how they are arranged. Brightness alone is the patch's mean over the bands.",
    "Random weights: the same architecture, never trained. What it knows is due to the architecture and to the "
    "backscatter that shines through it; only what exceeds it has been learnt.",
    "Equal size. All sets are brought to the same number of principal components, fitted on the training fold; "
    "where a set has two parts, both have the same part of the variance. A set of one column has no smaller one: "
    "compare the best head with the best SAR statistic, which is chosen in the same way from about as many.",
    "Intervals are percentiles over places drawn with replacement, the fitted probes being kept: they hold the "
    "differences between places, not those between training sets, and are too narrow for a handful of places.",
)
