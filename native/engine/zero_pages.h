// Pages full of zeros are not stored where a fresh map shows zeros anyway.
#pragma once

#include <span>
#include <vector>

#include "bytes.h"
#include "page_scan.h"

namespace holdfast {

bool is_zero_page(const std::byte* page);

// Moves the other pages together at the front of `contents`, and cuts `runs` to match. Returns how many are left.
uint64_t drop_zero_pages(std::vector<PageRun>& runs, std::byte* contents);

}  // namespace holdfast
