// Frames of a peer: put together, and heard by a replica of three that has things to do. The input
// holds frames, each with its length(2) before it.

#include "cluster/replica/frames.hpp"
#include "cluster/replica/replica.hpp"
#include "cluster/replica/wire.hpp"

#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::cluster;
using namespace custos::cluster::replica;

constexpr std::size_t frame_max = 512;

void require(bool holds) {
  if (!holds)
    std::abort();
}

raft::member member_of(raft::replica_id id, const std::string& name) {
  member_info info;
  info.name = name;
  info.host = name;
  info.port = 1;
  return {id, raft::member_role::voter, write_member_info(info)};
}

cluster::replica::replica listener() {
  config_state state;
  state.set_applied(1);
  raft::recovered_state found;
  found.durable = {1, 0};
  found.base = raft::bootstrap_base({member_of(1, "n1"), member_of(2, "n2"), member_of(3, "n3")});
  found.applied = 1;
  replica_identity identity;
  identity.self = 1;
  identity.name = "n1";
  identity.incarnation = "fuzz";
  return {identity, {}, found, std::move(state), 1, 1000};
}

/// Its disk is as fast as can be; what it installs does not read, as from an honest peer's.
void carry_out(cluster::replica::replica& r) {
  for (int i = 0; i < 100 && !r.fault(); ++i) {
    const auto todo = r.take();
    for (const auto& out : todo.send) {
      assembler whole;
      std::optional<parcel> p;
      for (const auto& frame : out.frames)
        p = whole.take(frame).value();
      require(p.has_value());
    }
    if (!todo.disk)
      return;
    for (const auto& w : todo.disk->writes)
      if (w.installs)
        return;
    r.disk_done(1000, std::nullopt);
  }
}

/// A parcel that reads is the same when it is cut and put together again.
void judge(const parcel& p) {
  const auto whole = to_frames(p, 1U << 20U);
  assembler again;
  std::optional<parcel> got;
  for (const auto& frame : to_frames(p, frame_max)) {
    require(frame.size() <= frame_max && !got);
    auto taken = again.take(frame);
    require(taken.ok());
    got = *std::move(taken);
  }
  require(got && to_frames(*got, 1U << 20U) == whole);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  byte_view rest(data, size);
  assembler peer;
  auto r = listener();
  config_command command;
  command.kind = object_kind::principal;
  command.name = "alice";
  command.document = R"({"role":"auditor"})";
  r.apply(1000, 1, command);
  r.settle(1000, 2, 0, true);
  while (rest.size() >= 2) {
    const std::size_t length = (std::size_t{rest[0]} << 8U) | rest[1];
    rest = rest.subspan(2);
    const auto frame = rest.first(std::min(length, rest.size()));
    rest = rest.subspan(frame.size());
    if (const auto taken = peer.take(frame); taken && *taken)
      judge(**taken);
    r.received(1000, "n2", frame);
    carry_out(r);
  }
  r.tick(2500);
  carry_out(r);
  return 0;
}
