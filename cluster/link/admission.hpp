#pragma once
// Connections that have not proven who they are: how many may be open at once, and which one has to
// go when there are more. Pure.
//
// A newcomer is always let in and an older one goes: then whoever is quick gets through, while who
// only holds connections open loses them. Who goes: first connections from addresses of no member,
// of these first such as have said nothing, of these first from the address with the most, and of
// these the oldest.
//
// Thread rule: as a value. Work per newcomer is linear in the number of half-open connections.

#include "cluster/link/limits.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace custos::cluster::link {

/// Groups addresses that one party commands: an IPv4 address, the /64 of an IPv6 address. Empty for
/// what is neither.
std::string address_group(const std::string& address);

class admission {
public:
  admission(std::size_t half_open_max, std::size_t half_open_per_address_max)
      : half_open_max_(half_open_max), per_address_max_(half_open_per_address_max) {}

  /// Lets a connection in; gives those that have to go for it (each is forgotten already).
  std::vector<std::uint64_t> admit(std::uint64_t id, const std::string& group);
  /// It has sent something.
  void spoke(std::uint64_t id);
  /// It is gone, or has proven who it is.
  void leave(std::uint64_t id);
  /// Makes room for something else than newcomers: a quarter of all, at least one if there is one.
  std::vector<std::uint64_t> make_room();
  /// Addresses that members' links come from or are dialled at.
  void set_known(std::set<std::string> groups) { known_ = std::move(groups); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
  struct entry {
    std::string group;
    bool spoke = false;
  };
  std::optional<std::uint64_t> victim(std::uint64_t spared, const std::string* only_group) const;
  void forget(std::uint64_t id);

  std::size_t half_open_max_;
  std::size_t per_address_max_;
  std::map<std::uint64_t, entry> entries_; ///< by id: ids grow, so the first is the oldest
  std::map<std::string, std::size_t> counts_;
  std::set<std::string> known_;
};

} // namespace custos::cluster::link
