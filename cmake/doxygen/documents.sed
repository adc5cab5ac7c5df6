# What Doxygen sees of a document: links that it can follow.

# To a heading: to its page, for Doxygen names headings otherwise.
s|\(\.md\)#[a-z0-9-]*)|\1)|g

# To a program: its name.
s|\[[a-z0-9_]*\](\(examples/\)\?\([a-z0-9_]*\.cpp\))|`\2`|g
