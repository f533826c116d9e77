// The page index of what is frozen, put together from the ledger.
#pragma once

#include "page_index.h"
#include "survey.h"

namespace holdfast {

struct CapturedIndex {
  std::vector<std::byte> object;
  std::vector<uint32_t> packs;  // in the ledger's numbering; the index calls the first of them 1
  std::map<uint32_t, PackUse> use;
};

// Every present page must be known to the ledger: one that is not is INTERNAL, and there is no index. Tables are cut to
// the pages that are present.
CapturedIndex write_captured_index(PageLedger& ledger, const Survey& frozen, Codec codec);

}  // namespace holdfast
