# What Doxygen sees of a document: links that it can follow.

# To a heading: to its page, for Doxygen has names of its own for headings.
s/\(\.md\)#[a-z0-9-]*)/\1)/g

# To a source: its name.
s/\[\([^]]*\)\]([^)]*\.[ch]pp)/`\1`/g
