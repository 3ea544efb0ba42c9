#include "cluster/replica/wire.hpp"
#include "tests/unit/cluster/replica/world.hpp"

#include <gtest/gtest.h>

// Logs that are shortened, states that differ, and restarts.
namespace custos::cluster::replica::test {

namespace {

class replica_trouble : public testing::Test {
protected:
  void write_some(const std::string& node, int from, int to) {
    for (int i = from; i < to; ++i)
      ASSERT_TRUE(w.applied(node, put("p" + std::to_string(i))).ok());
  }
  std::string follower() {
    for (const auto& name : w.running())
      if (name != w.leader())
        return name;
    return {};
  }
  /// Gives a node that does not run another state at the same entry of the log.
  void tamper(const std::string& node) {
    auto& store = *w.at(node).store;
    const auto other = load_state(store).value().apply(put("intruder"));
    ASSERT_TRUE(other.ok());
    rocksdb::write_batch batch;
    replace_everything(batch, other->next);
    ASSERT_TRUE(store.write(batch, rocksdb::durability::synced).ok());
  }
  /// What its disk holds, as it would be found at a start.
  stored_replica on_disk(const std::string& node) {
    return load_replica(*w.at(node).store).value();
  }

  world w;
};

} // namespace

TEST_F(replica_trouble, the_log_is_shortened_and_the_state_kept) {
  w.options.entries_kept = 16;
  w.grow(3);
  write_some("n1", 0, 100);
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  w.run_for(100);
  for (const auto& name : w.running()) {
    EXPECT_LE(w.core(name).core().log().last_index() - w.core(name).core().log().base().index, 20U);
    EXPECT_LE(on_disk(name).entries.size(), 20U) << name;
    const auto hash = w.core(name).state().state_hash();
    w.crash(name);
    w.start(name);
    ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
    EXPECT_EQ(w.core(name).state().count(object_kind::principal), 100U);
    EXPECT_EQ(w.core(name).state().state_hash(), hash);
  }
}

TEST_F(replica_trouble, octets_shorten_the_log_as_well) {
  w.options.entry_bytes_kept = 1000;
  w.found("n1");
  write_some("n1", 0, 100);
  w.run_for(100);
  EXPECT_LT(on_disk("n1").entries.size(), 20U);
  EXPECT_EQ(w.core("n1").state().count(object_kind::principal), 100U);
}

TEST_F(replica_trouble, who_was_away_too_long_catches_up_by_an_image) {
  w.options.entries_kept = 16;
  w.grow(3);
  const auto away = follower();
  w.crash(away);
  const auto before = on_disk(away).base.index;
  write_some(w.leader(), 0, 60);
  w.start(away);
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  EXPECT_EQ(w.core(away).state().count(object_kind::principal), 60U);
  EXPECT_GT(w.core(away).core().log().base().index, before + 16);
  w.crash(away);
  w.start(away);
  EXPECT_EQ(w.core(away).state().count(object_kind::principal), 60U);
}

TEST_F(replica_trouble, an_image_is_of_use_however_long_it_takes) {
  w.options.entries_kept = 8;
  w.image_ms = 2000;
  w.found("n1");
  ASSERT_TRUE(w.join("n2", "n1"));
  int written = 0;
  // Meanwhile much more happens than the log keeps.
  for (; w.core("n2").is_empty() && written < 1500; ++written)
    ASSERT_TRUE(w.applied("n1", put("p" + std::to_string(written))).ok());
  EXPECT_FALSE(w.core("n2").is_empty());
  EXPECT_GT(written, 50);
  EXPECT_TRUE(w.wait_for([&] { return w.converged(); }));
  w.run_for(500);
  write_some("n1", written, written + 10);
  w.run_for(500);
  EXPECT_LE(on_disk("n1").entries.size(), 10U) << "afterwards it is shortened again";
}

TEST_F(replica_trouble, a_change_of_before_an_image_is_answered_from_what_it_remembers) {
  w.options.entries_kept = 16;
  w.options.answer_timeout_ms = 60000;
  w.grow(3);
  const auto cut_off = follower();
  const auto via = w.leader();
  const auto token = w.apply(cut_off, put("mine", "auditor", "op-1"));
  w.step();
  w.drops = [&](const std::string&, const std::string& to, parcel&) { return to == cut_off; };
  w.run_for(200);
  write_some(via, 0, 60); // the entry of the change is in no log any more
  ASSERT_EQ(w.reply_to(cut_off, token), nullptr);
  w.drops = nullptr;
  const auto reply = w.answer(cut_off, token, 30000);
  ASSERT_TRUE(std::holds_alternative<config_applied>(reply)) << std::get<error>(reply).message;
  EXPECT_EQ(std::get<config_applied>(reply).revision, 1U);
}

TEST_F(replica_trouble, a_replica_whose_state_differs_takes_itself_out) {
  w.grow(3);
  write_some("n1", 0, 5);
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  w.run_for(1000); // its state is on disk
  const auto bad = follower();
  w.crash(bad);
  tamper(bad);
  w.start(bad);
  ASSERT_TRUE(w.wait_for([&] { return w.at(bad).stopped.has_value(); }));
  EXPECT_EQ(w.at(bad).stopped->code, errc::corrupted);
  EXPECT_NE(w.at(bad).stopped->message.find("differs"), std::string::npos);
  EXPECT_EQ(w.running().size(), 2U) << "the others go on";
  EXPECT_TRUE(w.applied(follower(), put("alice")).ok());
  // It does not come back as it is, but by being replaced.
  EXPECT_EQ(load_replica(*w.at(bad).store).failure().code, errc::corrupted);
  ASSERT_TRUE(w.join(bad, w.leader(), member_action::replace));
  ASSERT_TRUE(w.wait_for([&] { return w.converged() && w.running().size() == 3; }));
  EXPECT_EQ(w.core(bad).state().find(object_kind::principal, "intruder"), nullptr);
}

TEST_F(replica_trouble, a_leader_whose_state_differs_goes_too) {
  w.grow(3);
  write_some("n1", 0, 5);
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  w.run_for(1000);
  for (const auto& name : {"n1", "n2", "n3"})
    w.crash(name);
  tamper("n2");
  // It leads before they compare.
  w.drops = [](const std::string&, const std::string&, parcel& p) {
    return std::holds_alternative<pulse_parcel>(p);
  };
  for (const auto& name : {"n1", "n2", "n3"})
    w.start(name);
  ASSERT_TRUE(w.wait_for([&] { return !w.leader().empty(); }));
  w.transfer(w.leader(), "n2");
  ASSERT_TRUE(w.wait_for([&] { return w.leader() == "n2"; }));
  ASSERT_FALSE(w.at("n2").stopped);
  w.drops = nullptr;
  ASSERT_TRUE(w.wait_for([&] { return w.at("n2").stopped.has_value(); }));
  EXPECT_TRUE(w.wait_for([&] { return w.converged() && w.running().size() == 2; }));
}

TEST_F(replica_trouble, of_two_that_differ_neither_goes_before_the_third_was_heard) {
  w.grow(3);
  write_some("n1", 0, 5);
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  w.run_for(1000);
  const auto bad = w.leader();
  const auto away = follower();
  w.crash(away);
  w.crash(bad);
  tamper(bad);
  w.start(bad);
  w.run_for(5000);
  EXPECT_EQ(w.running().size(), 2U) << "who of them is right?";
  w.start(away);
  ASSERT_TRUE(w.wait_for([&] { return w.at(bad).stopped.has_value(); }));
  EXPECT_TRUE(w.wait_for([&] { return w.converged() && w.running().size() == 2; }));
}

TEST_F(replica_trouble, a_standby_whose_state_differs_takes_itself_out) {
  w.found("n1");
  write_some("n1", 0, 5);
  ASSERT_TRUE(w.join("n2", "n1"));
  ASSERT_TRUE(w.wait_for([&] { return w.converged() && !w.core("n2").is_empty(); }));
  w.run_for(1000);
  w.crash("n2");
  tamper("n2");
  w.start("n2");
  ASSERT_TRUE(w.wait_for([&] { return w.at("n2").stopped.has_value(); }));
  EXPECT_EQ(w.at("n2").stopped->code, errc::corrupted);
  EXPECT_TRUE(w.applied("n1", put("alice")).ok());
}

TEST_F(replica_trouble, what_the_program_does_not_know_stops_it) {
  for (const bool later : {true, false}) {
    w = world();
    w.found("n1");
    ASSERT_TRUE(w.applied("n1", put("alice")).ok());
    w.crash("n1");
    const auto found = on_disk("n1");
    auto octets = encode(replicated_command{put("bob", "auditor", "op-1"), 0});
    if (later)
      octets.front() = 9;
    else
      octets.pop_back();
    raft::write more;
    more.first = found.base.index + found.entries.size() + 1;
    more.entries.push_back({found.durable.term, raft::entry_kind::command,
                            std::make_shared<const bytes>(octets), nullptr});
    rocksdb::write_batch batch;
    stored_log(found).add(batch, more);
    ASSERT_TRUE(w.at("n1").store->write(batch, rocksdb::durability::synced).ok());
    w.start("n1");
    ASSERT_TRUE(w.wait_for([&] { return w.at("n1").stopped.has_value(); }));
    EXPECT_EQ(w.at("n1").stopped->code, later ? errc::unsupported : errc::corrupted);
    EXPECT_NE(w.at("n1").stopped->message.find("entry " + std::to_string(more.first)),
              std::string::npos);
    EXPECT_EQ(w.core("n1").state().find(object_kind::principal, "bob"), nullptr);
  }
}

TEST_F(replica_trouble, frames_that_do_not_read_change_nothing) {
  w.grow(3);
  const auto node = follower();
  const auto applied = w.core(node).state().applied_index();
  for (const bytes& frame : {bytes{}, bytes{1}, bytes{9, 1}, bytes{1, 99}, bytes(64, 0xFF),
                             bytes{2, 0, 0, 0, 0, 0, 0, 0, 0}}) {
    w.core(node).received(w.now, w.leader(), frame);
    EXPECT_TRUE(w.core(node).take().replies.empty());
  }
  raft::vote_request ask;
  ask.term = 99;
  ask.last_index = 99;
  ask.last_term = 98;
  // For another replica, or in another's name.
  for (const auto& p :
       {raft_parcel{w.core("n1").self(), 77, encode(raft::message(ask))},
        raft_parcel{w.core("n1").self() + 1, w.core(node).self(), encode(raft::message(ask))}})
    for (const auto& frame : to_frames(p, 1000))
      w.core(node).received(w.now, "n1", frame);
  EXPECT_LT(w.core(node).core().term(), 99U);
  EXPECT_FALSE(w.core(node).fault());
  EXPECT_EQ(w.core(node).state().applied_index(), applied);
}

} // namespace custos::cluster::replica::test
