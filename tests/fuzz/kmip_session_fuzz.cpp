// A key server that says anything at all to a session: while it negotiates, while requests are in
// flight, in pieces of any size. Whatever comes, every request is answered once or left unfinished,
// and a closed session stays closed. The first octet chooses what the session may do, the second
// the size of the pieces.

#include "adapters/kmip/session.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace {

using namespace custos;
using namespace custos::kmip;

class judge {
public:
  explicit judge(std::uint8_t choice) : session_(options_of(choice)) {}

  void run(byte_view octets, std::size_t piece) {
    take(session_.start());
    submit(get_key{"k1"});
    submit(get_state{"k1"});
    submit(activate{"k1"});
    submit(locate{"n"});
    while (!octets.empty()) {
      const auto part = octets.first(std::min(piece, octets.size()));
      octets = octets.subspan(part.size());
      const bool was_closed = session_.closed();
      auto step = session_.feed(part);
      if (was_closed && (!step.output.empty() || !step.completed.empty() || step.close))
        std::abort();
      take(std::move(step));
      if (session_.ready() && submitted_ < 12)
        submit(get_key{"k2"});
    }
    for (const auto& p : session_.take_unfinished())
      settle(p.ticket);
    if (open_.size() != 0)
      std::abort();
  }

private:
  static session_options options_of(std::uint8_t choice) {
    session_options o;
    o.in_flight_max = 1 + (choice & 3U);
    o.batch_max = 1 + ((choice >> 2U) & 7U);
    if ((choice & 0x20U) != 0)
      o.assumed = our_versions[(choice >> 6U) % our_versions.size()];
    o.limits.message_bytes = 4096;
    o.new_id = [n = std::uint8_t{0}]() mutable { return batch_item_id{++n}; };
    return o;
  }
  void submit(request r) {
    const auto ticket = ++submitted_;
    open_.insert(ticket);
    take(session_.submit(ticket, std::move(r)));
  }
  void settle(std::uint64_t ticket) {
    if (open_.erase(ticket) != 1)
      std::abort(); // answered twice, or never asked
  }
  void take(session_effects step) {
    for (const auto& c : step.completed)
      settle(c.ticket);
    for (const auto& m : step.output)
      if (!parse_ttlv(m))
        std::abort();
    if (step.close.has_value() != (session_.closed() && !closed_))
      std::abort();
    closed_ = session_.closed();
  }

  session session_;
  std::set<std::uint64_t> open_;
  std::uint64_t submitted_ = 0;
  bool closed_ = false;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2)
    return 0;
  judge(data[0]).run(byte_view(data + 2, size - 2), 1U + data[1]);
  return 0;
}
