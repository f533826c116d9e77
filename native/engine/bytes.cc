#include "bytes.h"

namespace holdfast {

void ByteWriter::put(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

}  // namespace holdfast
