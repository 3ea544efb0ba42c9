// Entries of the replicated log as a peer may send them: every command that reads is written back
// to the same octets, and whatever the state machine makes of it can be sent as an image and read
// again.
//
// The input holds several commands, each with its length(2) before it.

#include "cluster/command_codec.hpp"
#include "cluster/config_state.hpp"
#include "cluster/state_image.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::cluster;

void require(bool holds) {
  if (!holds)
    std::abort();
}

void enter(config_state& state, byte_view octets, std::uint64_t index) {
  const auto command = decode_replicated_command(octets);
  if (!command) {
    require(command.failure().code == errc::malformed ||
            command.failure().code == errc::unsupported);
    return;
  }
  const auto again = encode(*command);
  require(std::equal(again.begin(), again.end(), octets.begin(), octets.end()));
  const auto change = state.judge(*command, index);
  require(!change.refusal || (!change.writes && !change.outcome.changed));
  state.commit(change);
  state.set_applied(index);
  // Asked again it says the same, unless nothing of it was remembered.
  const auto second = state.judge(*command, index);
  require(second.refusal.has_value() == change.refusal.has_value());
  require(second.repeated || change.refusal);
  if (change.refusal)
    require(second.refusal->code == change.refusal->code &&
            second.refusal->message == change.refusal->message);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  config_state state;
  std::uint64_t index = 0;
  for (byte_view rest(data, size); rest.size() >= 2;) {
    const std::size_t announced = std::size_t{rest[0]} << 8U | rest[1];
    const auto octets = rest.subspan(2, std::min(announced, rest.size() - 2));
    enter(state, octets, ++index);
    rest = rest.subspan(2 + octets.size());
  }
  const auto image = encode_state(state);
  const auto read = decode_state(image);
  require(read.ok() && read->state_hash() == state.state_hash() && encode_state(*read) == image);
  return 0;
}
