// custos image explain, diff, simulate: why a host matches no image, how two images differ, and who
// would fail if the configuration were another.

#include "actors/attestation/image_diff.hpp"
#include "actors/attestation/image_explain.hpp"
#include "adapters/json/json.hpp"
#include "cluster/config_codec.hpp"
#include "runtime/cli/image_commands.hpp"
#include "runtime/cli/inputs.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <map>

namespace custos::cli {

namespace bj = boost::json;

namespace {

// ---- what answers hold; a server is asked, not trusted

const bj::object* object_in(const bj::value* v) {
  return v == nullptr ? nullptr : v->if_object();
}
const bj::array& list_in(const bj::object& o, std::string_view name) {
  static const bj::array none;
  const auto* const v = o.if_contains(name);
  return v != nullptr && v->is_array() ? v->get_array() : none;
}
std::string text_in(const bj::object& o, std::string_view name) {
  const auto* const v = o.if_contains(name);
  return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}
/// Copies members that are there.
void take(const bj::object& from, std::initializer_list<std::string_view> names, bj::object& to) {
  for (const auto name : names)
    if (const auto* const v = from.if_contains(name))
      to[name] = *v;
}

// ---- explain, for people: differences only, as tables

bj::object event_row(const bj::value* pcr, const bj::object& event) {
  bj::object row;
  if (pcr != nullptr)
    row["pcr"] = *pcr;
  take(event, {"event", "outcome", "type", "hint", "digest"}, row);
  return row;
}

std::string counted(const bj::array& events) {
  std::map<std::string, std::size_t> count;
  for (const auto& e : events)
    if (const auto* const o = e.if_object())
      ++count[text_in(*o, "outcome")];
  std::string out;
  for (const auto* outcome : {"matched", "unexpected", "missing"})
    if (const auto found = count.find(outcome); found != count.end())
      out += (out.empty() ? "" : ", ") + std::to_string(found->second) + " " + outcome;
  return out;
}

/// json_of(explanation), without what is as expected.
bj::object explained_for_people(const bj::object& image) {
  bj::object out;
  take(image, {"image", "version", "bank", "audit_only", "matches"}, out);
  if (const auto* const why = object_in(image.if_contains("why")))
    take(*why, {"check", "message"}, out);
  bj::array pcrs;
  bj::array differences;
  bj::array changes;
  for (const auto& item : list_in(image, "pcrs")) {
    const auto* const p = item.if_object();
    if (p == nullptr)
      continue;
    const auto* const pcr = p->if_contains("pcr");
    const auto& events = list_in(*p, "events");
    bj::object row;
    take(*p, {"pcr", "form", "verdict"}, row);
    row["events"] = counted(events);
    pcrs.push_back(std::move(row));
    for (const auto& e : events)
      if (const auto* const o = e.if_object(); o != nullptr && text_in(*o, "outcome") != "matched")
        differences.push_back(event_row(pcr, *o));
    if (const auto change = text_in(*p, "change"); !change.empty())
      changes.emplace_back("PCR " + (pcr == nullptr ? "?" : bj::serialize(*pcr)) + ": " + change);
  }
  out["pcrs"] = std::move(pcrs);
  if (!differences.empty())
    out["differences"] = std::move(differences);
  if (!changes.empty())
    out["to_change"] = std::move(changes);
  return out;
}

struct explain_arguments {
  std::string target;
  std::string event_log;
  std::string pcrs;
  std::vector<std::string> trusted_keys;
};

/// The host's last evidence, by a node that keeps it.
result<void> explain_host(session& s, const explain_arguments& a) {
  if (!a.pcrs.empty())
    return field_error(errc::invalid_argument, "--pcrs", "expected --event-log beside it");
  CUSTOS_TRY(const auto path, attestation_path(s));
  CUSTOS_TRY(const auto answer, s.ask("GET", path + "/hosts/" + segment(a.target) + "/explain"));
  const auto* const o = answer.if_object();
  if (s.options().output == "json" || o == nullptr) {
    s.show(answer);
    return {};
  }
  bj::object out;
  take(*o, {"host", "at", "verdict"}, out);
  bj::array images;
  for (const auto& item : list_in(*o, "images"))
    if (const auto* const image = item.if_object())
      images.push_back(explained_for_people(*image));
  out["images"] = std::move(images);
  s.show(out);
  return {};
}

/// Values and what looks into them.
struct offline_boot {
  boot_log log;
  eventlog::replayed replayed;
  std::vector<pcr_value> values;
  std::vector<attestation::quoted_bank> banks;
};

/// Without values, those that the log leads to.
result<offline_boot> read_boot(const explain_arguments& a, crypto::hash_alg bank) {
  offline_boot out;
  CUSTOS_TRY(out.log, read_boot_log(a.event_log));
  auto replayed = eventlog::replay(out.log.parsed, std::array{bank});
  if (!replayed)
    return in_file(a.event_log, std::move(replayed).failure());
  out.replayed = *std::move(replayed);
  attestation::quoted_bank quoted;
  quoted.alg = bank;
  if (a.pcrs.empty()) {
    quoted.mask = (1U << eventlog::pcrs_max) - 1;
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
      quoted.values.at(pcr) = out.replayed.banks.front().value(pcr);
  } else {
    CUSTOS_TRY(out.values, read_pcr_values(a.pcrs));
    for (const auto& v : out.values)
      if (v.bank == static_cast<std::uint16_t>(bank)) {
        quoted.mask |= 1U << v.pcr;
        quoted.values.at(v.pcr) = v.value;
      }
  }
  out.banks.push_back(quoted);
  return out;
}

result<void> explain_offline(session& s, const explain_arguments& a) {
  CUSTOS_TRY(const auto file, open_image_file(a.target, a.trusted_keys));
  CUSTOS_TRY(const auto bank, attestation::bank_of(file.image));
  CUSTOS_TRY(const auto boot, read_boot(a, bank));
  const auto x = attestation::explain(file.image, {boot.banks, boot.log.parsed, boot.replayed});
  const auto json = attestation::json_of(x);
  s.show(s.options().output == "json" ? json : explained_for_people(json));
  if (a.pcrs.empty())
    s.say("no --pcrs: the values are those that the log itself leads to");
  if (x.why)
    return *x.why;
  return {};
}

// ---- diff

/// A file if there is one of that name, else an image of the cluster.
result<base_image> image_called(session& s, const std::string& name) {
  std::error_code ignored;
  if (std::filesystem::exists(name, ignored)) {
    CUSTOS_TRY(auto file, open_image_file(name));
    return std::move(file.image);
  }
  CUSTOS_CHECK(cluster::check_object_name(object_kind::base_image, name));
  CUSTOS_TRY(const auto path, base_images_path(s));
  CUSTOS_TRY(auto answer, s.ask("GET", path + "/" + segment(name)));
  auto* const document = answer.if_object();
  if (document == nullptr)
    return field_error(errc::malformed, name, "the coordinator answered without an image");
  for (const auto* member : {"health", "details", "last_attested_time"})
    document->erase(member);
  CUSTOS_TRY(auto read,
             cluster::read_object(object_kind::base_image, name, bj::serialize(*document)));
  return std::get<base_image>(std::move(read));
}

struct diff_arguments {
  std::string a, b;
};

result<void> show_diff(session& s, const diff_arguments& a) {
  CUSTOS_TRY(const auto first, image_called(s, a.a));
  CUSTOS_TRY(const auto second, image_called(s, a.b));
  bj::object out{{"a", first.name + " " + first.version},
                 {"b", second.name + " " + second.version}};
  for (auto& member : attestation::json_of(attestation::diff(first, second)))
    out[member.key()] = std::move(member.value());
  s.show(out);
  return {};
}

// ---- simulate

struct simulate_arguments {
  std::vector<std::string> add, remove, settings;
};

/// "token_life_s=60": what reads as JSON is that, else a text.
result<void> take_setting(const std::string& text, bj::object& settings) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return field_error(errc::invalid_argument, "--settings", "expected NAME=VALUE");
  const auto value = text.substr(equals + 1);
  boost::system::error_code no_json;
  auto parsed = bj::parse(value, no_json);
  settings[text.substr(0, equals)] = no_json ? bj::value(value) : std::move(parsed);
  return {};
}

/// The present settings with some changed, as the whole object that they would become.
result<bj::object> changed_settings(session& s, const std::vector<std::string>& changes) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  CUSTOS_TRY(auto answer,
             s.ask("GET", "/api/vcenter/trusted-infrastructure/trust-authority-clusters/" +
                              segment(cluster) + "/attestation/tpm2/settings"));
  if (!answer.is_object())
    return make_error(errc::malformed, "the coordinator answered without settings");
  auto out = answer.get_object();
  for (const auto* member : {"health", "details"})
    out.erase(member);
  for (const auto& change : changes)
    CUSTOS_CHECK(take_setting(change, out));
  auto read =
      cluster::read_object(object_kind::settings, cluster::settings_name, bj::serialize(out));
  if (!read)
    return field_error(errc::invalid_argument, "--settings",
                       read.failure().field + ": " + read.failure().message);
  return out;
}

result<bj::object> change_of(session& s, const simulate_arguments& a) {
  bj::array put;
  bj::array erase;
  for (const auto& file : a.add) {
    CUSTOS_TRY(const auto image, open_image_file(file));
    CUSTOS_TRY(auto document, document_of(image.image));
    document.erase("name");
    put.push_back(bj::object{
        {"kind", "base-images"}, {"name", image.image.name}, {"object", std::move(document)}});
  }
  for (const auto& name : a.remove)
    erase.push_back(bj::object{{"kind", "base-images"}, {"name", name}});
  if (!a.settings.empty()) {
    CUSTOS_TRY(auto settings, changed_settings(s, a.settings));
    put.push_back(bj::object{
        {"kind", "settings"}, {"name", cluster::settings_name}, {"object", std::move(settings)}});
  }
  return bj::object{{"put", std::move(put)}, {"erase", std::move(erase)}};
}

std::string verdict_text(const bj::object* verdict) {
  if (verdict == nullptr)
    return {};
  const auto check = text_in(*verdict, "check");
  const auto image = text_in(*verdict, "image");
  return text_in(*verdict, "verdict") + (check.empty() ? "" : ": " + check) +
         (image.empty() ? "" : ", " + image);
}

bj::object simulated_for_people(const bj::object& answer) {
  bj::array hosts;
  for (const auto& item : list_in(answer, "hosts")) {
    const auto* const o = item.if_object();
    if (o == nullptr)
      continue;
    const auto* const after = object_in(o->if_contains("after"));
    bj::object row;
    take(*o, {"host", "at"}, row);
    row["before"] = verdict_text(object_in(o->if_contains("before")));
    row["after"] = verdict_text(after);
    if (after != nullptr)
      take(*after, {"pcr", "event", "message"}, row);
    hosts.push_back(std::move(row));
  }
  bj::object out{{"hosts", std::move(hosts)}};
  take(answer, {"would_fail", "without_evidence"}, out);
  return out;
}

result<void> simulate(session& s, const simulate_arguments& a) {
  if (a.add.empty() && a.remove.empty() && a.settings.empty())
    return field_error(errc::invalid_argument, "--add",
                       "expected a change: --add, --remove or --settings");
  CUSTOS_TRY(const auto change, change_of(s, a));
  CUSTOS_TRY(const auto path, attestation_path(s));
  CUSTOS_TRY(const auto answer, s.ask("POST", path + "/simulate", change));
  const auto* const o = answer.if_object();
  if (o == nullptr)
    return make_error(errc::malformed, "the coordinator answered without hosts");
  s.show(s.options().output == "json" ? bj::value(*o) : bj::value(simulated_for_people(*o)));
  const auto* const failing = o->if_contains("would_fail");
  if (failing == nullptr || !failing->is_int64())
    return make_error(errc::malformed, "the coordinator did not say how many hosts would fail");
  if (failing->get_int64() > 0)
    return make_error(errc::attestation_failed,
                      "hosts that pass now would fail: " + std::to_string(failing->get_int64()));
  return {};
}

} // namespace

void add_image_questions(command_set& commands, CLI::App* group) {
  auto e = std::make_shared<explain_arguments>();
  auto* c = commands.command(
      group, "explain", "Why a boot matches no image, event by event", [e](session& s) {
        return e->event_log.empty() ? explain_host(s, *e) : explain_offline(s, *e);
      });
  c->add_option("target", e->target, "A host's id; with --event-log an image file")->required();
  c->add_option("--event-log", e->event_log, "Binary boot log, to explain offline");
  c->add_option("--pcrs", e->pcrs, "PCR values read with it, {\"sha256\":{\"0\":\"<hex>\"}}");
  c->add_option("--trusted-key", e->trusted_keys, "PEM file: who must have signed the image file")
      ->allow_extra_args(false);

  auto d = std::make_shared<diff_arguments>();
  c = commands.command(group, "diff", "How two base images differ",
                       [d](session& s) { return show_diff(s, *d); });
  c->add_option("a", d->a, "File, or name of an image of the cluster")->required();
  c->add_option("b", d->b, "The other")->required();

  auto m = std::make_shared<simulate_arguments>();
  c = commands.command(group, "simulate",
                       "Who would fail if the configuration were another, by the hosts' last "
                       "evidence",
                       [m](session& s) { return simulate(s, *m); });
  c->add_option("--add", m->add, "File of an image that is added or replaced")
      ->allow_extra_args(false);
  c->add_option("--remove", m->remove, "Name of an image that is removed")->allow_extra_args(false);
  c->add_option("--settings", m->settings, "NAME=VALUE, as in the settings of the cluster")
      ->allow_extra_args(false);
}

} // namespace custos::cli
