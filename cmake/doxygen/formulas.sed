# $inline$ and $$displayed$$ formulas, as GitHub writes them, for Doxygen.
s|^\$\$|\\f[|
s|\$\$$|\\f]|
s|\$|\\f$|g
