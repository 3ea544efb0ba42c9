// What a peer of the link sends first: records, and the hello in them. The first octet chooses the
// size of the pieces in which the rest arrives, and whether frames are allowed.

#include "cluster/link/hello.hpp"
#include "cluster/link/record.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::cluster::link;

/// Whatever is accepted as a hello says the same when it is written again.
void judge(byte_view content) {
  const auto read = read_hello(content);
  if (!read) {
    if (read.failure().field.empty())
      std::abort();
    return;
  }
  const auto again = write_hello(*read);
  if (again.size() > content.size() || !std::equal(again.begin(), again.end(), content.begin()))
    std::abort();
  hello own;
  own.node = "fuzz";
  own.program_version = "1";
  const auto verdict = judge_hello(own, *read, {read->node, ""});
  if (!verdict.refused && (verdict.version < own.version_min || verdict.version > own.version_max))
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  record_reader reader;
  if (data[0] >= 128)
    reader.allow_frames();
  const std::size_t piece = data[0] % 128U + 1;
  byte_view rest(data + 1, size - 1);
  judge(rest); // as if it had been framed
  bytes rewritten;
  const byte_view whole = rest;
  while (!rest.empty()) {
    std::size_t taken = 0;
    const auto got = reader.feed(rest.first(std::min(piece, rest.size())), taken);
    if (!got)
      return 0;
    if (taken == 0 || reader.held() > size)
      std::abort(); // no progress, or memory for what was only announced
    rest = rest.subspan(taken);
    if (!*got)
      continue;
    if ((*got)->kind == record_kind::hello)
      judge((*got)->content);
    const auto again = write_record((*got)->kind, (*got)->content);
    rewritten.insert(rewritten.end(), again.begin(), again.end());
  }
  if (!std::equal(rewritten.begin(), rewritten.end(), whole.begin()))
    std::abort();
  return 0;
}
