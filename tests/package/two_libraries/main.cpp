bool plain_normalizes();
bool native_normalizes();

int main() { return plain_normalizes() && native_normalizes() ? 0 : 1; }
