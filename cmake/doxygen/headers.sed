# What Doxygen sees of a header, line by line: docstrings in its own terms.

# The namespace whose name is a macro is inline.
s/^inline namespace BATCHNORM_ABI {$//
s/^}  \/\/ namespace BATCHNORM_ABI$//

# The base of the layers is in detail, which is hidden, but its public members are the layers'.
/^\/\/\/ The base of the layers/,/^};$/ {
  s/^\/\/\/ The base/} &/
  s/^ protected:/ private:/
  s/^};$/&  namespace detail {/
}
s/detail::AffineLayer/AffineLayer/

# `Throws   text`, and likewise the others, is a section: see ALIASES in Doxyfile.in.
s/^\( *\/\/\/\) \(Source\|Shapes\|Units\|State\|Cost\|Throws\|Threads\)  \+/\1 \\label{\2} /
s/^\( *\/\/\/\) Aliasing /\1 \\label{Aliasing} /

# What is indented by two, formulas and code, Markdown wants indented by four.
s/^\( *\/\/\/\)   \([^ ]\)/\1       \2/
