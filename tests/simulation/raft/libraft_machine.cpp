// Debian's libraft 0.15.0 on a virtual disk, used as its header says and no other way. It is a bad
// machine that we did not make bad: it loses what was acknowledged, and the world must notice.
//
// One turn is one call of the library; callbacks that it must not get from inside a call wait for
// the turn's end. Everything it allocates is in a heap of the machine's, which a crash empties.

#include "tests/simulation/raft/libraft_heap.hpp"
#include "tests/simulation/raft/libraft_stored.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <utility>

namespace custos::raft::simulation {

namespace {

using library = struct ::raft;

// ---- the machine --------------------------------------------------------------------------------

std::string address_of(raft_id id) {
  return "replica-" + std::to_string(id);
}

class libraft_machine final : public machine {
public:
  libraft_machine(replica_id id, const membership& members, const machine_options& given,
                  std::uint64_t seed, surroundings& around)
      : id_(id), address_(address_of(id)), given_(given), random_(seed), around_(around) {
    give_libraft_our_heaps();
    for (const auto& m : members)
      first_servers_.push_back({m.id, address_of(m.id), RAFT_VOTER});
  }
  ~libraft_machine() override { forget(); }

  void start(milliseconds now) override {
    now_ = now;
    up_ = true;
    const turn mine(*this);
    set_up_library();
    if (raft_start(&node_->raft) != 0) {
      fall();
      return;
    }
    around_.restored(id_, state_);
  }

  void crash(random_source& random) override {
    auto whole = pending_.empty() ? 0 : random() % (pending_.size() + 1);
    for (; whole > 0; --whole) {
      disk_.put(pending_.front());
      pending_.pop_front();
    }
    if (!pending_.empty() && pending_.front().what == disk_write::kind::append)
      disk_.put(pending_.front(), random() % (pending_.front().entries.size() + 1));
    forget();
    up_ = false;
  }
  bool running() const override { return up_; }

  void tick(milliseconds now) override {
    now_ = now;
    if (!node_)
      return start(now); // the library gave up: whoever supervises it starts it anew
    const turn mine(*this);
    node_->tick(&node_->io);
  }
  void receive(milliseconds now, replica_id from, const packet& what) override {
    now_ = now;
    if (!node_)
      return;
    const turn mine(*this);
    const auto& p = *static_cast<const parcel*>(what.get());
    auto m = unpack(p);
    const auto address = address_of(from);
    m.server_address = address.c_str();
    node_->receive(&node_->io, &m);
  }
  void io() override {
    if (!node_ || pending_.empty())
      return;
    const turn mine(*this);
    const auto done = std::move(pending_.front());
    pending_.pop_front();
    disk_.put(done);
    if (done.done)
      done.done();
  }

  bool propose(command_id command) override;
  bool read(std::uint64_t token) override;
  bool can_change_members() const override { return false; }
  bool change(const membership& /*wanted*/) override { return false; }
  bool transfer(replica_id /*to*/) override { return false; }

  bool leads() const override { return node_ && raft_state(&node_->raft) == RAFT_LEADER; }
  term_number term() const override { return disk_.term; }
  membership members() const override {
    membership out;
    for (const auto& s : first_servers_)
      out.push_back({s.id, member_role::voter, {}});
    return out;
  }
  machine_state state() const override { return state_; }
  std::optional<term_number> term_at(log_index index) const override {
    const auto* const e = logged_entry(index);
    return e == nullptr ? std::nullopt : std::optional<term_number>(e->term);
  }
  log_index first_index() const override { return node_ ? node_->raft.log.offset : 0; }

private:
  /// One life of the library.
  struct node {
    library raft{};
    raft_io io{};
    raft_fsm fsm{};
    raft_io_tick_cb tick = nullptr;
    raft_io_recv_cb receive = nullptr;
  };
  struct apply_request {
    struct ::raft_apply raw {};
    libraft_machine* owner = nullptr;
    command_id command = 0;
  };
  struct read_request {
    struct ::raft_barrier raw {};
    libraft_machine* owner = nullptr;
    std::uint64_t token = 0;
  };

  /// While it lives the library may be called; at its end it gets what it must not get from inside.
  class turn {
  public:
    explicit turn(libraft_machine& of) : of_(of), outer_(std::exchange(heap::current, &of.heap_)) {}
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() {
      of_.finish_turn();
      heap::current = outer_;
    }

  private:
    libraft_machine& of_;
    heap* outer_;
  };

  static libraft_machine& of(raft_io* io) { return *static_cast<libraft_machine*>(io->impl); }
  static libraft_machine& of(raft_fsm* fsm) { return *static_cast<libraft_machine*>(fsm->data); }

  void set_up_library();
  void set_up_io(raft_io& io);
  void finish_turn();
  void forget();
  void fall();
  void begin(disk_write w);
  void catch_up(log_index index);
  [[nodiscard]] const raft_entry* logged_entry(log_index index) const;
  [[nodiscard]] raft_snapshot* snapshot_for() const;

  static int load(raft_io* io, raft_term* term, raft_id* voted_for, raft_snapshot** snapshot,
                  raft_index* start, raft_entry** entries, std::size_t* count);
  static int send(raft_io* io, raft_io_send* request, const raft_message* m, raft_io_send_cb done);
  static int append(raft_io* io, raft_io_append* request, const raft_entry* entries, unsigned count,
                    raft_io_append_cb done);
  static int put_snapshot(raft_io* io, unsigned trailing, raft_io_snapshot_put* request,
                          const raft_snapshot* given, raft_io_snapshot_put_cb done);
  static int get_snapshot(raft_io* io, raft_io_snapshot_get* request, raft_io_snapshot_get_cb done);
  static int apply(raft_fsm* fsm, const raft_buffer* command, void** result);
  static int take_snapshot(raft_fsm* fsm, raft_buffer** buffers, unsigned* count);
  static int restore(raft_fsm* fsm, raft_buffer* data);

  replica_id id_;
  std::string address_;
  machine_options given_;
  random_source random_;
  surroundings& around_;
  stored_servers first_servers_;
  bool up_ = false;
  milliseconds now_ = 0;
  libraft_disk disk_;
  std::deque<disk_write> pending_;
  std::deque<std::function<void()>> deferred_;
  heap heap_;
  std::unique_ptr<node> node_;
  machine_state state_;
  std::map<std::uint64_t, apply_request> applies_;
  std::map<std::uint64_t, read_request> reads_;
};

// ---- life ---------------------------------------------------------------------------------------

void libraft_machine::set_up_library() {
  node_ = std::make_unique<node>();
  state_ = {};
  set_up_io(node_->io);
  auto& fsm = node_->fsm;
  fsm.version = 1;
  fsm.data = this;
  fsm.apply = apply;
  fsm.snapshot = take_snapshot;
  fsm.restore = restore;
  auto* const raft = &node_->raft;
  raft_init(raft, &node_->io, &fsm, id_, address_.c_str());
  raft_set_election_timeout(raft, static_cast<unsigned>(given_.election_ms));
  raft_set_heartbeat_timeout(raft, static_cast<unsigned>(given_.heartbeat_ms));
  raft_set_snapshot_threshold(raft, static_cast<unsigned>(given_.compact_every));
  // With less it is stuck when a follower has compacted what its leader does not know it has.
  raft_set_snapshot_trailing(
      raft, static_cast<unsigned>(std::max(given_.entries_behind, 2 * given_.compact_every)));
  if (disk_.term == 0) {
    raft_configuration first{};
    servers_for(first_servers_, first);
    raft_bootstrap(raft, &first);
    raft_configuration_close(&first);
  }
  if (!disk_.snapshot)
    state_.applied = 1; // the first entry is the membership
}

void libraft_machine::set_up_io(raft_io& io) {
  io.version = 1;
  io.impl = this;
  io.init = [](raft_io*, raft_id, const char*) { return 0; };
  io.close = [](raft_io* self, raft_io_close_cb done) { done(self); };
  io.load = load;
  io.start = [](raft_io* self, unsigned, raft_io_tick_cb on_tick, raft_io_recv_cb on_message) {
    of(self).node_->tick = on_tick;
    of(self).node_->receive = on_message;
    return 0;
  };
  io.bootstrap = [](raft_io* self, const raft_configuration* first) {
    auto& d = of(self).disk_;
    raft_buffer encoded{};
    if (const auto failed = raft_configuration_encode(first, &encoded); failed != 0)
      return failed;
    d.term = 1;
    d.log.push_back({1, RAFT_CHANGE, text_of(encoded)});
    raft_free(encoded.base);
    return 0;
  };
  io.recover = [](raft_io*, const raft_configuration*) { return RAFT_INVALID; };
  io.set_term = [](raft_io* self, raft_term term) {
    of(self).disk_.term = term;
    of(self).disk_.voted_for = 0;
    return 0;
  };
  io.set_vote = [](raft_io* self, raft_id whom) {
    of(self).disk_.voted_for = whom;
    return 0;
  };
  io.send = send;
  io.append = append;
  io.truncate = [](raft_io* self, raft_index from) {
    disk_write w;
    w.what = disk_write::kind::truncate;
    w.from = from;
    of(self).begin(std::move(w));
    return 0;
  };
  io.snapshot_put = put_snapshot;
  io.snapshot_get = get_snapshot;
  io.time = [](raft_io* self) { return raft_time{of(self).now_}; };
  io.random = [](raft_io* self, int min, int max) {
    const auto range = static_cast<std::uint64_t>(max - min) + 1;
    return min + static_cast<int>(of(self).random_() % range);
  };
}

void libraft_machine::finish_turn() {
  while (node_ && !deferred_.empty()) {
    const auto next = std::move(deferred_.front());
    deferred_.pop_front();
    next();
  }
  if (!node_)
    return;
  catch_up(node_->raft.last_applied);
  if (raft_state(&node_->raft) == RAFT_UNAVAILABLE)
    fall();
}

/// All that is not on the disk is gone.
void libraft_machine::forget() {
  node_.reset();
  pending_.clear();
  deferred_.clear();
  applies_.clear();
  reads_.clear();
  heap_.clear();
}

/// The library has given up by itself. What it asked to be written is written.
void libraft_machine::fall() {
  for (const auto& w : pending_)
    disk_.put(w);
  forget();
}

const raft_entry* libraft_machine::logged_entry(log_index index) const {
  if (!node_)
    return nullptr;
  const auto& log = node_->raft.log;
  const auto count = log.back >= log.front ? log.back - log.front : log.size - log.front + log.back;
  if (index <= log.offset || index > log.offset + count)
    return nullptr;
  return &log.entries[(log.front + (index - log.offset - 1)) % log.size];
}

/// The library tells of commands only; the world wants to know of every entry.
void libraft_machine::catch_up(log_index index) {
  while (state_.applied < index) {
    const auto* const e = logged_entry(state_.applied + 1);
    if (e == nullptr)
      return;
    const auto command = command_of(e->type, e->buf);
    state_ = {state_.applied + 1, hash_on(state_.hash, state_.applied + 1, command)};
    around_.applied(id_, {state_.applied, e->term, command}, state_);
  }
}

// ---- clients ------------------------------------------------------------------------------------

bool libraft_machine::propose(command_id command) {
  if (!node_)
    return false;
  const turn mine(*this);
  auto& request = applies_[command];
  request.owner = this;
  request.command = command;
  request.raw.data = &request;
  std::string text(sizeof command, '\0');
  std::memcpy(text.data(), &command, sizeof command);
  auto data = buffer_of(text);
  const auto done = [](struct ::raft_apply* raw, int status, void* /*result*/) {
    const auto& r = *static_cast<apply_request*>(raw->data);
    auto& owner = *r.owner;
    if (status == 0)
      owner.around_.acknowledged(owner.id_, r.command, raw->index);
    owner.applies_.erase(r.command);
  };
  if (raft_apply(&node_->raft, &request.raw, &data, 1, done) == 0)
    return true;
  raft_free(data.base);
  applies_.erase(command);
  return false;
}

bool libraft_machine::read(std::uint64_t token) {
  if (!node_)
    return false;
  const turn mine(*this);
  auto& request = reads_[token];
  request.owner = this;
  request.token = token;
  request.raw.data = &request;
  const auto done = [](struct ::raft_barrier* raw, int status) {
    const auto& r = *static_cast<read_request*>(raw->data);
    auto& owner = *r.owner;
    if (status == 0) {
      owner.catch_up(raw->index);
      owner.around_.read_served(owner.id_, r.token, owner.state_.applied);
    } else {
      owner.around_.read_failed(owner.id_, r.token);
    }
    owner.reads_.erase(r.token);
  };
  if (raft_barrier(&node_->raft, &request.raw, done) == 0)
    return true;
  reads_.erase(token);
  return false;
}

// ---- what the library asks of disk and network --------------------------------------------------

void libraft_machine::begin(disk_write w) {
  pending_.push_back(std::move(w));
  around_.write_started(id_);
}

raft_snapshot* libraft_machine::snapshot_for() const {
  const auto& from = *disk_.snapshot;
  auto* const s = static_cast<raft_snapshot*>(raft_calloc(1, sizeof(raft_snapshot)));
  s->index = from.index;
  s->term = from.term;
  servers_for(from.servers, s->configuration);
  s->configuration_index = from.servers_index;
  s->bufs = static_cast<raft_buffer*>(raft_malloc(sizeof(raft_buffer)));
  s->n_bufs = 1;
  s->bufs[0] = buffer_of(from.data);
  return s;
}

int libraft_machine::load(raft_io* io, raft_term* term, raft_id* voted_for,
                          raft_snapshot** snapshot, raft_index* start, raft_entry** entries,
                          std::size_t* count) {
  const auto& self = of(io);
  *term = self.disk_.term;
  *voted_for = self.disk_.voted_for;
  *snapshot = self.disk_.snapshot ? self.snapshot_for() : nullptr;
  *start = self.disk_.start;
  *entries = entries_for(self.disk_.log);
  *count = self.disk_.log.size();
  return 0;
}

int libraft_machine::send(raft_io* io, raft_io_send* request, const raft_message* m,
                          raft_io_send_cb done) {
  auto& self = of(io);
  self.around_.send(self.id_, m->server_id, pack(self.id_, *m));
  if (done != nullptr)
    self.deferred_.emplace_back([request, done] { done(request, 0); });
  return 0;
}

int libraft_machine::append(raft_io* io, raft_io_append* request, const raft_entry* entries,
                            unsigned count, raft_io_append_cb done) {
  auto& self = of(io);
  disk_write w;
  auto index = raft_last_index(&self.node_->raft) - count; // they end its log
  auto before = self.term_at(index).value_or(0);
  for (unsigned i = 0; i < count; ++i) {
    const auto& e = entries[i];
    self.around_.logged(self.id_, ++index, e.term, before, command_of(e.type, e.buf));
    before = e.term;
    w.entries.push_back(entry_of(e));
  }
  w.done = [request, done] { done(request, 0); };
  self.begin(std::move(w));
  return 0;
}

int libraft_machine::put_snapshot(raft_io* io, unsigned trailing, raft_io_snapshot_put* request,
                                  const raft_snapshot* given, raft_io_snapshot_put_cb done) {
  disk_write w;
  w.what = disk_write::kind::snapshot;
  w.trailing = trailing;
  w.snapshot = {
      given->index, given->term, servers_of(given->configuration), given->configuration_index, {}};
  for (unsigned i = 0; i < given->n_bufs; ++i)
    w.snapshot.data += text_of(given->bufs[i]);
  w.done = [request, done] { done(request, 0); };
  of(io).begin(std::move(w));
  return 0;
}

int libraft_machine::get_snapshot(raft_io* io, raft_io_snapshot_get* request,
                                  raft_io_snapshot_get_cb done) {
  auto& self = of(io);
  self.deferred_.emplace_back([&self, request, done] {
    auto* const s = self.disk_.snapshot ? self.snapshot_for() : nullptr;
    done(request, s, s == nullptr ? RAFT_NOTFOUND : 0);
  });
  return 0;
}

// ---- the state machine --------------------------------------------------------------------------

int libraft_machine::apply(raft_fsm* fsm, const raft_buffer* /*command*/, void** result) {
  auto& self = of(fsm);
  self.catch_up(self.node_->raft.last_applied + 1); // the entry that this is about
  *result = nullptr;
  return 0;
}

int libraft_machine::take_snapshot(raft_fsm* fsm, raft_buffer** buffers, unsigned* count) {
  auto& self = of(fsm);
  self.catch_up(self.node_->raft.last_applied);
  std::string data(std::max(self.given_.snapshot_bytes, sizeof self.state_), '\0');
  std::memcpy(data.data(), &self.state_, sizeof self.state_);
  *buffers = static_cast<raft_buffer*>(raft_malloc(sizeof(raft_buffer)));
  **buffers = buffer_of(data);
  *count = 1;
  return 0;
}

int libraft_machine::restore(raft_fsm* fsm, raft_buffer* data) {
  auto& self = of(fsm);
  std::memcpy(&self.state_, data->base, sizeof self.state_);
  raft_free(data->base);
  self.around_.restored(self.id_, self.state_);
  return 0;
}

} // namespace

std::unique_ptr<machine> make_machine(replica_id id, const membership& members,
                                      const machine_options& options, std::uint64_t seed,
                                      surroundings& around) {
  return std::make_unique<libraft_machine>(id, members, options, seed, around);
}

} // namespace custos::raft::simulation
