// What the packs of a committed generation hold, as its page index tells.
#pragma once

#include <vector>

#include "bytes.h"
#include "page_ledger.h"

namespace holdfast {

// Tells the ledger the contents that the index names. packs[i] is the ledger's number of the index's pack i + 1; 0: not to be
// relied on. Packs of which only little can be named are left out, so that naming keeps no packs that are mostly dead.
// CORRUPT or UNKNOWN_FORMAT: nothing was told. Returns the number of blobs.
size_t learn_contents(PageLedger& ledger, Bytes index, const std::vector<uint32_t>& packs);

}  // namespace holdfast
