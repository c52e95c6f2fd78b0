"""Every component id of the whole app, once: constants `page-part` in kebab case.

Ids of repeated parts come from functions here. No id text stands anywhere else in Python; the
scripts of `assets/` use those of the views and of the stores that they write.
"""

# The frame around all pages
LOCATION = "shell-location"
FRAME = "shell-frame"
MODEL = "shell-model"
CORPUS = "shell-corpus"
PART = "shell-part"
PART_FIELD = "shell-part-field"
MATRIX_LINK = "shell-matrix-link"
HEAD_LINK = "shell-head-link"
INSPECT_MENU = "shell-inspect-menu"
MODEL_VIEW_LINK = "shell-model-view-link"
HEAD_VIEW_LINK = "shell-head-view-link"
NEURON_VIEW_LINK = "shell-neuron-view-link"
INSPECT_LINK = "shell-inspect-link"  # from the sentence beside a map to the head view
COPY_LINK = "shell-copy-link"
THEME_BUTTON = "shell-theme-button"
NOTICES = "shell-notices"
STATUS = "shell-status"
LEFT_OUT = "shell-left-out"
JOB_STATUS = "shell-job-status"
JOB_BAR = "shell-job-bar"
CANCEL = "shell-cancel"
GO_ON = "shell-go-on"
TICK = "shell-tick"
MISSING = "shell-missing"
MISSING_TITLE = "shell-missing-title"
MISSING_TEXT = "shell-missing-text"
BUILD = "shell-build"
ESTIMATE = "shell-estimate"
STATE_PILL = "shell-state"
HELP_BUTTON = "shell-help-button"

# What is looked at; plain values that can be read again from the URL or from the store
DEFAULTS = "shell-defaults"  # the view of an address without a query
THEME = "shell-theme"  # "light" or "dark"
ATLAS = "shell-atlas"  # what `opening.describe` returns
HITS = "shell-hits"  # token numbers that were searched for, or None
PLACE = "shell-place"  # {layer, head}
MADE = "shell-made"  # digest of the map of a selection that is shown, or None
PICKED = "shell-picked"  # {sequence, position, side} or None
JOB = "shell-job"  # id of the build that is followed, or None
PROGRESS = "shell-progress"  # grows with every step of that build
STAGE = "shell-stage"  # changes when there is something new to load

# What the server is asked for beside data; None for nothing, unchanged while the answer holds
SOUGHT = "shell-sought"  # {query, manner, capture}
MEANT = "shell-meant"  # {encoding, palette, theme, is_common, capture, head, source}
REPORTED = "shell-reported"  # {tab, atlas, capture, head, selection, map, guidance, ...}

# The inspect pages
SOURCE = "inspect-source"  # {capture, sequence, model, is_live, compared?}: what is looked at
INSPECT = "inspect-options"  # filters and orders of the three views, as in the address
INSPECT_INPUT = "inspect-input"  # column: which input
LIVE_BOX = "inspect-live-box"
CHOOSER = "inspect-chooser"
INSPECT_LEGEND = "inspect-legend"
MODEL_VIEW = "inspect-model-view"
LINES_VIEW = "inspect-lines-view"
NEURON_VIEW = "inspect-neuron-view"

# Live input beside the head view; on the inspect pages it is LIVE_BOX
LIVE_PANEL = "live-panel"
LIVE_HEAD_BOX = "live-head-box"
LIVE_NOTE = "live-placed-note"
LIVE_SENTENCE = "live-sentence-view"

# Controls
METHOD = "controls-method"
DIMS = "controls-dims"
NORMALISATION = "controls-normalisation"
GUIDANCE = "controls-guidance"
SCALE = "controls-scale"
NORM_SCALE = "controls-norm-scale"
ENCODING = "controls-encoding"
PALETTE = "controls-palette"
LEGEND = "controls-legend"
SEARCH = "controls-search"
MANNER = "controls-manner"
SEARCH_COUNT = "controls-search-count"
SHOW = "controls-show"

# Pages
MATRIX_BAR = "matrix-bar"
MATRIX_VIEW = "matrix-view"
HEAD_BAR = "head-bar"
HEAD_VIEW = "head-view"
DETAIL = "detail-panel"
DETAIL_TAB = "detail-tab"
SELECTION_VIEW = "selection-view"
TRUST = "trust-panel"
NORMS = "norms-panel"
WEIGHTS = "weights-panel"
WEIGHTS_TICK = "weights-tick"
SENTENCE_VIEW = "sentence-view"
AGGREGATE_VIEW = "aggregate-view"
IMAGE_VIEW = "image-view"
BUILD_MODEL = "build-model"
BUILD_OTHER_MODEL = "build-other-model"
BUILD_CORPUS = "build-corpus"
BUILD_METHODS = "build-methods"
BUILD_SEGMENTATION = "build-segmentation"
BUILD_NORMALISATION = "build-normalisation"
BUILD_START = "build-start"
BUILD_MESSAGE = "build-message"
