// The ConfigStore's state machine with a fleet in it: 100,000 endorsement keys with certificates of
// about 1 KB, 1,000 images of 60 boot events. A write does not depend on how much there is; a node
// is up in less than 5 s, and a new replica has everything in less than 10 s.

#include "adapters/crypto/x509.hpp"
#include "cluster/config_storage.hpp"
#include "cluster/replica/disk.hpp"
#include "cluster/state_image.hpp"
#include "messages/config_cell.hpp"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <filesystem>
#include <malloc.h>
#include <random>
#include <sys/resource.h>

namespace {

using namespace custos;
using namespace custos::cluster;

constexpr std::size_t keys_in_fleet = 100000;
constexpr std::size_t images_in_fleet = 1000;
constexpr std::size_t events_per_image = 60;
constexpr std::size_t different_certificates = 256;
constexpr std::size_t different_public_keys = 4;
constexpr std::size_t keys_weighed = 5000;

std::string json_text(const std::string& pem) {
  std::string out = "\"";
  for (const char c : pem)
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  return out + "\"";
}

/// Documents of certificates as makers of TPMs issue them: an RSA key of 2048 bits, some
/// extensions.
const std::vector<std::string>& certificate_documents() {
  static const auto made = [] {
    const auto ca = crypto::generate_rsa(2048).value();
    std::vector<crypto::key> subjects;
    for (std::size_t i = 0; i < different_public_keys; ++i)
      subjects.push_back(crypto::generate_rsa(2048).value());
    std::vector<std::string> out;
    for (std::size_t i = 0; i < different_certificates; ++i) {
      crypto::certificate_request request;
      request.common_name = "EK " + std::to_string(i);
      request.dns_names = {"tpm-" + std::string(150, 'x') + std::to_string(i) + ".example.org"};
      request.not_before = 1'700'000'000;
      request.not_after = 2'000'000'000;
      const auto cert =
          crypto::issue_certificate(request, subjects[i % subjects.size()], ca, nullptr);
      out.push_back("{\"certificate\":" + json_text(cert.value().pem()) + "}");
    }
    return out;
  }();
  return made;
}

config_command put(object_kind kind, std::string name, std::string document) {
  config_command c;
  c.kind = kind;
  c.name = std::move(name);
  c.document = std::move(document);
  return c;
}

config_command key_of(std::size_t i) {
  const auto& documents = certificate_documents();
  return put(object_kind::endorsement_key, "ek-" + std::to_string(i),
             documents[i % documents.size()]);
}

config_command image_of(std::size_t i) {
  std::string document = R"({"version":"12.8","pcrs":[)";
  for (std::size_t pcr = 0; pcr < 6; ++pcr) {
    document.append(pcr == 0 ? "" : ",").append(R"({"form":"ordered","pcr":)");
    document.append(std::to_string(pcr)).append(R"(,"events":[)");
    for (std::size_t e = 0; e < events_per_image / 6; ++e) {
      const auto text = std::to_string(i) + "/" + std::to_string(pcr) + "/" + std::to_string(e);
      document.append(e == 0 ? "" : ",").append(R"({"type":13,"hint":"event )").append(text);
      document.append(R"(","digest":")").append(crypto::hex(crypto::sha256(as_bytes(text))));
      document.append("\"}");
    }
    document += "]}";
  }
  return put(object_kind::base_image, "image-" + std::to_string(i), document + "]}");
}

/// The keys are put as they are: OpenSSL would take half a minute to judge them all.
config_state make_fleet(std::size_t keys, std::size_t images) {
  std::vector<config_object> judged;
  for (std::size_t i = 0; i < different_certificates; ++i) {
    const auto c = key_of(i);
    judged.push_back(read_object(c.kind, c.name, c.document).value());
  }
  config_state out;
  for (std::size_t i = 0; i < keys; ++i) {
    auto value = judged[i % judged.size()];
    planned_change change;
    change.kind = object_kind::endorsement_key;
    change.name = "ek-" + std::to_string(i);
    std::get<endorsement_key>(value).name = change.name;
    change.writes = true;
    change.object = make_object(change.name, std::move(value));
    change.objects = out.table(change.kind).with(change.object);
    change.outcome = {out.revision() + 1, out.fingerprint(), true};
    out.commit(change);
  }
  // From here on the fingerprint is that of everything.
  for (std::size_t i = 0; i < std::max(images, std::size_t{1}); ++i)
    out.commit(out.plan(image_of(i)).value());
  return out;
}

const config_state& fleet() {
  static const auto made = make_fleet(keys_in_fleet, images_in_fleet);
  return made;
}

/// Entries of the log that put one small key after the other, as in a replica: judged, added to a
/// batch, committed, shown.
void one_write(benchmark::State& state) {
  auto present = state.range(0) == 0 ? config_state() : fleet();
  auto shown = present.snapshot();
  std::uint64_t index = 0;
  std::vector<replicated_command> entries;
  for (std::size_t i = 0; i < 1024; ++i) {
    const auto digest = crypto::hex(crypto::sha256(as_bytes(std::to_string(i))));
    entries.push_back({put(object_kind::endorsement_key, "new-" + std::to_string(i),
                           R"({"spki_sha256":")" + digest + "\"}"),
                       0});
  }
  for (auto _ : state) {
    auto& entry = entries[index % entries.size()];
    entry.command.operation_id = "operation-" + std::to_string(index);
    entry.command.action =
        index / entries.size() % 2 == 0 ? config_action::put : config_action::erase;
    if (entry.command.action == config_action::erase)
      entry.command.document.clear();
    ++index;
    const auto change = present.judge(entry, index);
    rocksdb::write_batch batch;
    add_changes(batch, present, change);
    present.commit(change);
    present.set_applied(index);
    add_head(batch, present);
    shown = present.snapshot();
    benchmark::DoNotOptimize(batch);
  }
}
BENCHMARK(one_write)->Arg(0)->Arg(keys_in_fleet)->Iterations(2048)->Unit(benchmark::kMicrosecond);

/// The part of it that puts a certificate.
void judge_a_certificate(benchmark::State& state) {
  const config_state present;
  replicated_command entry{key_of(0), 0};
  entry.command.operation_id = "operation";
  for (auto _ : state)
    benchmark::DoNotOptimize(present.judge(entry, 1));
}
BENCHMARK(judge_a_certificate)->Unit(benchmark::kMicrosecond);

void hash_of_the_state(benchmark::State& state) {
  const auto& present = fleet();
  for (auto _ : state)
    benchmark::DoNotOptimize(present.state_hash());
}
BENCHMARK(hash_of_the_state)->Unit(benchmark::kMicrosecond);

void encode_the_state(benchmark::State& state) {
  const auto& present = fleet();
  std::size_t size = 0;
  for (auto _ : state)
    size = encode_state(present).size();
  state.counters["MB"] = static_cast<double>(size) / 1e6;
}
BENCHMARK(encode_the_state)->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

void decode_the_state(benchmark::State& state) {
  const auto image = encode_state(fleet());
  for (auto _ : state)
    if (!decode_state(image))
      state.SkipWithError("the image does not read");
}
BENCHMARK(decode_the_state)->Unit(benchmark::kMillisecond)->Iterations(2)->UseRealTime();

class store_on_disk {
public:
  store_on_disk()
      : directory_(std::filesystem::temp_directory_path() /
                   ("custos_config_bench_" + std::to_string(std::random_device()()))),
        store_(rocksdb::open_store(directory_, {true}).value()) {}
  store_on_disk(const store_on_disk&) = delete;
  store_on_disk& operator=(const store_on_disk&) = delete;
  ~store_on_disk() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] rocksdb::kv_store& store() const { return *store_; }
  void reopen() {
    store_.reset();
    store_ = rocksdb::open_store(directory_).value();
  }

private:
  std::filesystem::path directory_;
  std::shared_ptr<rocksdb::kv_store> store_;
};

void put_all(benchmark::State& state, rocksdb::kv_store& store) {
  rocksdb::write_batch batch;
  replace_everything(batch, fleet());
  if (!store.write(batch))
    state.SkipWithError("the store does not write");
}

void replace_the_state_on_disk(benchmark::State& state) {
  const store_on_disk disk;
  put_all(state, disk.store());
  for (auto _ : state)
    put_all(state, disk.store());
}
BENCHMARK(replace_the_state_on_disk)->Unit(benchmark::kMillisecond)->Iterations(1)->UseRealTime();

/// What a replica does with a snapshot: reads it, and puts it in the place of what it had.
void install_the_state(benchmark::State& state) {
  const store_on_disk disk;
  const auto image = std::make_shared<const bytes>(encode_state(fleet()));
  raft::snapshot whole;
  whole.at = raft::bootstrap_base({});
  whole.data = image;
  for (auto _ : state) {
    replica::stored_log log{replica::stored_replica()};
    replica::disk_job job;
    raft::write install;
    install.installs = std::make_shared<const raft::snapshot>(whole);
    job.writes.push_back(std::move(install));
    if (!replica::perform(disk.store(), log, job).written)
      state.SkipWithError("the snapshot is not installed");
  }
}
BENCHMARK(install_the_state)->Unit(benchmark::kMillisecond)->Iterations(2)->UseRealTime();

/// What a node does when it starts.
void load_the_state(benchmark::State& state) {
  store_on_disk disk;
  put_all(state, disk.store());
  for (auto _ : state) {
    disk.reopen();
    if (!load_state(disk.store()))
      state.SkipWithError("the state does not load");
  }
}
BENCHMARK(load_the_state)->Unit(benchmark::kMillisecond)->Iterations(2)->UseRealTime();

/// What a service does to see the configuration, at each request: no message, whatever there is.
void see_the_state(benchmark::State& state) {
  const auto cell = std::make_shared<config_cell>();
  cell->publish((state.range(0) == 0 ? config_state() : fleet()).snapshot());
  config_reader reader(cell);
  for (auto _ : state)
    benchmark::DoNotOptimize(reader.get());
}
BENCHMARK(see_the_state)->Arg(0)->Arg(keys_in_fleet)->Unit(benchmark::kNanosecond);

/// What a key takes in memory.
void memory_of_the_fleet(benchmark::State& state) {
  const auto heap = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  static_cast<void>(certificate_documents());
  for (auto _ : state) {
    const auto before = heap();
    const auto some = make_fleet(keys_weighed, 0);
    state.counters["bytes_a_key"] =
        static_cast<double>(heap() - before) / static_cast<double>(keys_weighed);
  }
}
BENCHMARK(memory_of_the_fleet)->Iterations(1)->Unit(benchmark::kMillisecond);

} // namespace
