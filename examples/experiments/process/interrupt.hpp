#pragma once

namespace process {

/// Makes the first Ctrl-C a request: interrupted() is true from then on, and the program stops when it can, keeping
/// what it has. The second one ends the program at once.
void catch_interrupt();

/// Whether Ctrl-C was pressed. Cheap, and callable from any thread.
bool interrupted();

/// What a program returns after Ctrl-C: 128 and the number of the signal, as shells have it.
inline constexpr int interrupted_exit_code = 130;

}  // namespace process
