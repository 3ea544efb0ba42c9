// What replicas say to each other and lay down: messages, entries, bases, memberships, and what the
// membership says of a node. Whatever reads is written back to the same octets, and a replica that
// hears it lives on. The first octet chooses what the rest is taken for.

#include "cluster/replica/member_change.hpp"
#include "cluster/replica/wire.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::cluster;

void require(bool holds) {
  if (!holds)
    std::abort();
}

template <class Value>
void same(const Value& read, byte_view octets) {
  const auto again = replica::encode(read);
  require(std::equal(again.begin(), again.end(), octets.begin(), octets.end()));
}

template <class Value>
bool judge(const result<Value>& read, byte_view octets) {
  if (read)
    same(*read, octets);
  else
    require(read.failure().code == errc::malformed || read.failure().code == errc::unsupported);
  return read.ok();
}

/// One replica of three; nothing a peer says may break it, and it must come to rest.
void hear(raft::message m) {
  raft::core core(1, {},
                  {{4, 0},
                   raft::bootstrap_base({{1, raft::member_role::voter, ""},
                                         {2, raft::member_role::voter, ""},
                                         {3, raft::member_role::voter, ""}}),
                   {},
                   1},
                  1, 1);
  core.receive(2, 2, std::move(m));
  for (int i = 0; i < 100; ++i) {
    const auto todo = core.take();
    for (const auto& out : todo.messages)
      require(replica::decode_message(replica::encode(out.what)).ok());
    if (todo.writes.empty())
      return;
    core.written(todo.writes.back().number);
  }
  std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const byte_view octets(data + 1, size - 1);
  switch (data[0] % 6) {
  case 0: {
    auto m = replica::decode_message(octets);
    if (judge(m, octets))
      hear(*std::move(m));
    return 0;
  }
  case 1:
    judge(replica::decode_entry(octets), octets);
    return 0;
  case 2:
    judge(replica::decode_base(octets), octets);
    return 0;
  case 3:
    if (const auto members = replica::decode_members(octets); judge(members, octets))
      require(replica::known_members(*members).size() <= raft::members_max);
    return 0;
  case 4:
    judge(replica::decode_membership_answer(octets), octets);
    return 0;
  default:
    // The document in a change may be written in other ways; read again it says the same.
    if (const auto change = replica::decode_member_change(octets)) {
      const auto again = replica::decode_member_change(replica::encode(*change));
      require(again.ok() && again->action == change->action && again->info == change->info);
    }
    return 0;
  }
}
