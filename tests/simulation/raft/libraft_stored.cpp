#include "tests/simulation/raft/libraft_stored.hpp"

#include <algorithm>
#include <cstring>

namespace custos::raft::simulation {

std::string text_of(const raft_buffer& b) {
  return {static_cast<const char*>(b.base), b.len};
}

raft_buffer buffer_of(const std::string& text) {
  raft_buffer b{raft_malloc(text.size() + 1), text.size()};
  std::memcpy(b.base, text.data(), text.size());
  return b;
}

stored_entry entry_of(const raft_entry& e) {
  return {e.term, e.type, text_of(e.buf)};
}

raft_entry* entries_for(const std::vector<stored_entry>& from) {
  if (from.empty())
    return nullptr;
  std::size_t size = 1;
  for (const auto& e : from)
    size += e.data.size();
  auto* const batch = static_cast<char*>(raft_malloc(size));
  auto* const out = static_cast<raft_entry*>(raft_calloc(from.size(), sizeof(raft_entry)));
  auto* at = batch;
  for (std::size_t i = 0; i < from.size(); ++i) {
    auto* const end = std::copy(from[i].data.begin(), from[i].data.end(), at);
    out[i] = {from[i].term, from[i].type, {at, from[i].data.size()}, batch};
    at = end;
  }
  return out;
}

stored_servers servers_of(const raft_configuration& c) {
  stored_servers out;
  for (unsigned i = 0; i < c.n; ++i)
    out.push_back({c.servers[i].id, c.servers[i].address, c.servers[i].role});
  return out;
}

void servers_for(const stored_servers& from, raft_configuration& to) {
  raft_configuration_init(&to);
  for (const auto& s : from)
    raft_configuration_add(&to, s.id, s.address.c_str(), s.role);
}

packet pack(replica_id from, const raft_message& m) {
  auto out = std::make_shared<parcel>();
  out->what = m;
  out->what.server_id = from;
  out->what.server_address = nullptr;
  if (m.type == RAFT_IO_APPEND_ENTRIES)
    for (unsigned i = 0; i < m.append_entries.n_entries; ++i)
      out->entries.push_back(entry_of(m.append_entries.entries[i]));
  if (m.type == RAFT_IO_INSTALL_SNAPSHOT) {
    out->servers = servers_of(m.install_snapshot.conf);
    out->data = text_of(m.install_snapshot.data);
  }
  return out;
}

raft_message unpack(const parcel& p) {
  auto m = p.what;
  if (m.type == RAFT_IO_APPEND_ENTRIES)
    m.append_entries.entries = entries_for(p.entries);
  if (m.type == RAFT_IO_INSTALL_SNAPSHOT) {
    servers_for(p.servers, m.install_snapshot.conf);
    m.install_snapshot.data = buffer_of(p.data);
  }
  return m;
}

command_id command_of(unsigned short type, const raft_buffer& data) {
  command_id command = 0;
  if (type == RAFT_COMMAND)
    std::memcpy(&command, data.base, sizeof command);
  return command;
}

void libraft_disk::put(const disk_write& w, std::size_t entries) {
  switch (w.what) {
  case disk_write::kind::append:
    log.insert(log.end(), w.entries.begin(), w.entries.begin() + static_cast<long>(entries));
    return;
  case disk_write::kind::truncate:
    if (w.from < start + log.size())
      log.resize(w.from > start ? w.from - start : 0);
    return;
  case disk_write::kind::snapshot:
    snapshot = w.snapshot;
    cut(w.snapshot.index, w.trailing);
    return;
  }
}

void libraft_disk::cut(raft_index index, unsigned trailing) {
  if (trailing == 0) {
    log.clear();
    start = index + 1;
    return;
  }
  const auto keep_from = index > trailing ? index - trailing + 1 : 1;
  if (keep_from <= start)
    return;
  const auto gone = std::min<raft_index>(keep_from - start, log.size());
  log.erase(log.begin(), log.begin() + static_cast<long>(gone));
  start += gone;
}

} // namespace custos::raft::simulation
