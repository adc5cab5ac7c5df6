// unpack_gz PACKED UNPACKED: unpacks a file packed by gzip (cmake can make such files, but not unpack them). One that
// is not packed is copied. Whatever is wrong (a missing, truncated or corrupt file, more than 64 MiB): exit code 1.
#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: unpack_gz PACKED UNPACKED\n");
    return 2;
  }
  constexpr unsigned most = 64 << 20;
  std::vector<char> bytes(most + 1);
  const gzFile packed = gzopen(argv[1], "rb");
  const int size = packed ? gzread(packed, bytes.data(), most + 1) : -1;
  if (gzclose(packed) != Z_OK || size < 0 || size > static_cast<int>(most)) return 1;
  std::ofstream unpacked(argv[2], std::ios::binary);
  unpacked.write(bytes.data(), size);
  unpacked.close();
  return unpacked ? 0 : 1;
}
