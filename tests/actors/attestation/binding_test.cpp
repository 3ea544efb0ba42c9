#include "actors/attestation/host_records_actor.hpp"
#include "actors/attestation/verifier_actor.hpp"
#include "cluster/config_codec.hpp"
#include "cluster/config_preview.hpp"
#include "cluster/config_store_actor.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"
#include "tests/unit/cluster/replica/first_replica.hpp"

#include <boost/json.hpp>

// Verifiers with the real ConfigStore and the real keeper of records behind them.
namespace custos::attestation {
namespace {

using namespace test;

class Binding : public custos::test::deterministic {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  std::shared_ptr<config_cell> cell = std::make_shared<config_cell>();
  std::shared_ptr<rocksdb::kv_store> disk = rocksdb::make_memory_store();
  std::shared_ptr<rocksdb::kv_store> records_disk = rocksdb::make_memory_store();
  std::shared_ptr<verdict_counters> counters = std::make_shared<verdict_counters>();
  cluster::replica::milliseconds now_ms = 1000;
  config_store_api store;
  host_records_api records;
  verifier_shared shared;
  std::vector<verifier_api> verifiers;

  Binding() {
    s.freeze();
    cluster::replica::test::fill_first(*disk, cluster::replica::test::info_of("n1"));
    cluster::config_store_dependencies given{disk, cell, "cluster", "n1"};
    given.incarnation = "test";
    given.ticks = [this] { return ++now_ms; };
    auto spawned = cluster::spawn_config_store_scheduled(system, std::move(given));
    EXPECT_TRUE(spawned);
    store = own(*spawned);
    advance(std::chrono::milliseconds(20)); // it leads
    put(object_kind::endorsement_key, "ek",
        R"({"spki_sha256":")" + crypto::hex(crypto::sha256(s.enrolled.ek_spki)) + "\"}");
    put(object_kind::base_image, "good", cluster::write_object(s.image()));
    start_records();
    verifiers = spawn_verifiers(
        system, 4, {s.keys, cell, [] { return now; }, counters, shared, store, {}, "node:n1"});
    for (const auto& v : verifiers)
      own(v);
  }
  void start_records() {
    shared.hosts = std::make_shared<host_table>();
    host_records_dependencies given;
    given.store = records_disk;
    given.hosts = shared.hosts;
    given.config = cell;
    given.inbox = std::make_shared<record_inbox>();
    given.ak_ca = s.keys->ak_ca_certificate;
    given.now = [] { return now; };
    given.preview = cluster::with_changes;
    given.complain = [](const error& e) { ADD_FAILURE() << e.message; };
    auto inbox = given.inbox;
    auto spawned = spawn_host_records_scheduled(system, std::move(given));
    ASSERT_TRUE(spawned) << spawned.failure().message;
    records = own(*spawned);
    shared.changed = record_changes(records, shared.hosts, inbox);
  }
  void put(object_kind kind, const std::string& name, const std::string& document) {
    config_command c;
    c.kind = kind;
    c.name = name;
    c.document = document;
    const auto applied = ask<config_applied>(store, c);
    ASSERT_TRUE(applied) << applied.failure().field << " " << applied.failure().message;
  }
  result<attestation_granted> attest(const evidence& e) {
    return ask<attestation_granted>(verifiers[verifier_of(e.ticket, verifiers.size())], e);
  }
};

TEST_F(Binding, TheFirstAttestationBindsHostEkAndAk) {
  EXPECT_FALSE(cell->load()->hosts.contains(host));
  const auto granted = attest(s.good());
  ASSERT_TRUE(granted) << granted.failure().message;
  const auto& bound = cell->load()->hosts.at(host);
  EXPECT_EQ(bound.ak_name, s.enrolled.ak.name);
  EXPECT_EQ(bound.ek_spki_sha256, to_bytes(crypto::sha256(s.enrolled.ek_spki)));
  EXPECT_FALSE(bound.quarantined);
  EXPECT_TRUE(attest(s.good())) << "and again, without a write";
}

/// A hundred machines at once with one host id: one of them becomes that host.
TEST_F(Binding, Cve2025_13609_ARaceOfAHundred) {
  constexpr std::size_t racers = 100;
  std::vector<std::unique_ptr<scene>> machines;
  std::vector<answer<attestation_granted>> answers;
  for (std::size_t i = 0; i < racers; ++i) {
    auto m = std::make_unique<scene>(recorded("eventlogs/rhel8-uefi.bin"));
    m->keys = s.keys;
    m->freeze();
    put(object_kind::endorsement_key, "ek" + std::to_string(i),
        R"({"spki_sha256":")" + crypto::hex(crypto::sha256(m->enrolled.ek_spki)) + "\"}");
    machines.push_back(std::move(m));
  }
  for (const auto& m : machines) {
    const auto e = m->good();
    answers.push_back(
        post<attestation_granted>(verifiers[verifier_of(e.ticket, verifiers.size())], e));
  }
  run();
  std::size_t granted = 0;
  for (const auto& a : answers) {
    ASSERT_TRUE(a->has_value());
    if (**a)
      ++granted;
    else
      EXPECT_EQ((*a)->failure().check, "host-binding") << (*a)->failure().message;
  }
  EXPECT_EQ(granted, 1U);
  const auto& bound = cell->load()->hosts.at(host);
  std::size_t winners = 0;
  for (const auto& m : machines)
    winners += bound.ak_name == m->enrolled.ak.name ? 1U : 0U;
  EXPECT_EQ(winners, 1U);
  EXPECT_EQ(counters->read().at("host-binding"), racers - 1);
}

TEST_F(Binding, OneTpmIsOneHost) {
  ASSERT_TRUE(attest(s.good()));
  s.enrolled.host = "second";
  s.freeze();
  const auto refused = attest(s.good());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().check, "host-binding");
  EXPECT_NE(refused.failure().message.find(host), std::string::npos) << refused.failure().message;
  EXPECT_FALSE(cell->load()->hosts.contains("second"));
  EXPECT_FALSE(shared.hosts->find("second")->last.accepted);
}

TEST_F(Binding, AForgottenHostMayBeBoundAnew) {
  ASSERT_TRUE(attest(s.good()));
  scene other(recorded("eventlogs/rhel8-uefi.bin"));
  other.keys = s.keys;
  other.freeze();
  put(object_kind::endorsement_key, "other",
      R"({"spki_sha256":")" + crypto::hex(crypto::sha256(other.enrolled.ek_spki)) + "\"}");
  EXPECT_EQ(attest(other.good()).failure().check, "host-binding");
  config_command erase;
  erase.action = config_action::erase;
  erase.kind = object_kind::host;
  erase.name = host;
  ASSERT_TRUE(ask<config_applied>(store, erase));
  ASSERT_TRUE(ask<json_document>(records, forget_host{host}));
  EXPECT_FALSE(shared.hosts->find(host));
  EXPECT_TRUE(attest(other.good()));
}

TEST_F(Binding, RecordsOutliveTheProcess) {
  ASSERT_TRUE(attest(s.good()));
  ASSERT_TRUE(ask<drained>(records, drain{}));
  const auto before = *shared.hosts->find(host);
  start_records();
  const auto after = shared.hosts->find(host);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->ak_name, before.ak_name);
  EXPECT_EQ(after->clock, before.clock);
  EXPECT_EQ(after->last.image, "good");
  EXPECT_EQ(after->evidence_sha256, before.evidence_sha256);
}

TEST_F(Binding, WhatIsPendingIsWrittenAfterASecond) {
  ASSERT_TRUE(attest(s.good()));
  EXPECT_TRUE(must(records_disk->scan("record/")).empty());
  advance(std::chrono::seconds(2));
  EXPECT_EQ(must(records_disk->scan("record/")).size(), 1U);
  EXPECT_EQ(must(records_disk->scan("evidence/")).size(), 1U);
}

TEST_F(Binding, EvidenceIsKeptOfAsManyHostsAsTheSettingsSay) {
  put(object_kind::settings, "settings", R"({"evidence_hosts_max":2})");
  for (int i = 0; i < 4; ++i) {
    scene m(recorded("eventlogs/rhel8-uefi.bin"));
    m.keys = s.keys;
    m.enrolled.host = "m" + std::to_string(i);
    m.freeze();
    put(object_kind::endorsement_key, "m" + std::to_string(i),
        R"({"spki_sha256":")" + crypto::hex(crypto::sha256(m.enrolled.ek_spki)) + "\"}");
    ASSERT_TRUE(attest(m.good()));
  }
  ASSERT_TRUE(ask<drained>(records, drain{}));
  EXPECT_EQ(must(records_disk->scan("evidence/")).size(), 2U);
  EXPECT_EQ(must(records_disk->scan("record/")).size(), 4U);
}

TEST_F(Binding, SimulatesAChangeOnAllHosts) {
  ASSERT_TRUE(attest(s.good()));
  auto image = s.image();
  image.pcrs.at(4).events.back().digest.back() ^= 1;
  config_command change;
  change.kind = object_kind::base_image;
  change.name = "good";
  change.document = cluster::write_object(image);
  const auto told = ask<json_document>(records, simulate_changes{{change}});
  ASSERT_TRUE(told) << told.failure().message;
  const auto o = boost::json::parse(told->text).as_object();
  EXPECT_EQ(o.at("would_fail").as_int64(), 1);
  ASSERT_EQ(o.at("hosts").as_array().size(), 1U);
  const auto& one = o.at("hosts").as_array().front();
  EXPECT_TRUE(one.at("before").at("accepted").as_bool());
  EXPECT_EQ(one.at("after").at("check").as_string(), "base-image");
  EXPECT_TRUE(attest(s.good())) << "nothing was changed";
  change.document = "{}";
  EXPECT_EQ(ask<json_document>(records, simulate_changes{{change}}).failure().field,
            "/changes/0/version");
  change.action = config_action::erase;
  change.name = "missing";
  EXPECT_EQ(ask<json_document>(records, simulate_changes{{change}}).failure().code,
            errc::not_found);
}

TEST_F(Binding, DamagedRecordsAreRefusedByName) {
  rocksdb::write_batch batch;
  batch.put("record/web-9", std::string_view("{"));
  ASSERT_TRUE(records_disk->write(batch));
  host_records_dependencies given;
  given.store = records_disk;
  given.hosts = std::make_shared<host_table>();
  given.config = cell;
  given.inbox = std::make_shared<record_inbox>();
  const auto spawned = spawn_host_records_scheduled(system, std::move(given));
  ASSERT_FALSE(spawned);
  EXPECT_EQ(spawned.failure().code, errc::corrupted);
  EXPECT_NE(spawned.failure().message.find("web-9"), std::string::npos);
}

} // namespace
} // namespace custos::attestation
