#pragma once
// Copies of what libraft owns: entries, messages, snapshots; and the disk that they are on.

#include "tests/simulation/raft/machine.hpp"

#include <functional>
#include <string>
#include <vector>

extern "C" {
#include <raft.h>
}

namespace custos::raft::simulation {

struct stored_entry {
  raft_term term = 0;
  unsigned short type = 0;
  std::string data;
};

struct stored_server {
  raft_id id = 0;
  std::string address;
  int role = 0;
};
using stored_servers = std::vector<stored_server>;

struct stored_snapshot {
  raft_index index = 0;
  raft_term term = 0;
  stored_servers servers;
  raft_index servers_index = 0;
  std::string data;
};

std::string text_of(const raft_buffer& b);

raft_buffer buffer_of(const std::string& text);

stored_entry entry_of(const raft_entry& e);

/// All data in one block, as the library wants it.
raft_entry* entries_for(const std::vector<stored_entry>& from);

stored_servers servers_of(const raft_configuration& c);

void servers_for(const stored_servers& from, raft_configuration& to);

/// A message and what it points to.
struct parcel {
  raft_message what{};
  std::vector<stored_entry> entries;
  stored_servers servers;
  std::string data;
};

packet pack(replica_id from, const raft_message& m);

raft_message unpack(const parcel& p);

/// 0: of an entry that is no command.
command_id command_of(unsigned short type, const raft_buffer& data);

/// Asked for by the library, and not on the disk yet.
struct disk_write {
  enum class kind : std::uint8_t { append = 1, truncate, snapshot };
  kind what = kind::append;
  std::vector<stored_entry> entries;
  raft_index from = 0;
  stored_snapshot snapshot;
  unsigned trailing = 0;
  std::function<void()> done; ///< the library's callback; none for truncate
};

struct libraft_disk {
  raft_term term = 0;
  raft_id voted_for = 0;
  raft_index start = 1;
  std::vector<stored_entry> log;
  std::optional<stored_snapshot> snapshot;

  /// Of an append only so many entries.
  void put(const disk_write& w, std::size_t entries);
  void put(const disk_write& w) { put(w, w.entries.size()); }

private:
  void cut(raft_index index, unsigned trailing);
};

} // namespace custos::raft::simulation
