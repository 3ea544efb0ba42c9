#include "actors/attestation/image_diff.hpp"

#include "actors/attestation/image_explain.hpp"
#include "actors/attestation/sequence_diff.hpp"
#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

namespace custos::attestation {

namespace bj = boost::json;

namespace {

const pcr_policy* policy_of(const base_image& image, std::uint32_t pcr) {
  const auto at = std::find_if(image.pcrs.begin(), image.pcrs.end(),
                               [pcr](const auto& p) { return p.pcr == pcr; });
  return at == image.pcrs.end() ? nullptr : &*at;
}

std::string key_of(const image_event& e) {
  return std::to_string(e.type) + " " + crypto::hex(e.digest);
}

template <class T>
std::vector<T> only_in(const std::vector<T>& these, const std::vector<T>& others) {
  const std::set<T> known(others.begin(), others.end());
  std::vector<T> out;
  std::copy_if(these.begin(), these.end(), std::back_inserter(out),
               [&](const T& x) { return known.count(x) == 0; });
  return out;
}

std::vector<event_difference> events_of_sets(const pcr_policy& a, const pcr_policy& b) {
  std::vector<event_difference> out;
  for (const bool in_a : {true, false}) {
    std::set<std::string> known;
    for (const auto& e : (in_a ? b : a).events)
      known.insert(key_of(e));
    for (const auto& e : (in_a ? a : b).events)
      if (known.count(key_of(e)) == 0)
        out.push_back({in_a, e});
  }
  return out;
}

std::vector<event_difference> events_in_order(const pcr_policy& a, const pcr_policy& b) {
  numbering numbers;
  std::vector<std::uint32_t> as;
  std::vector<std::uint32_t> bs;
  for (const auto& e : a.events)
    as.push_back(numbers.of(key_of(e)));
  for (const auto& e : b.events)
    bs.push_back(numbers.of(key_of(e)));
  std::vector<event_difference> out;
  for (const auto& step : diff_of(as, bs))
    if (step.kind == step_kind::only_a)
      out.push_back({true, a.events[step.a]});
    else if (step.kind == step_kind::only_b)
      out.push_back({false, b.events[step.b]});
  return out;
}

void compare_pcr(std::uint32_t pcr, const base_image& a, const base_image& b,
                 std::vector<pcr_difference>& out) {
  static const pcr_policy none;
  const auto* const in_a = policy_of(a, pcr);
  const auto* const in_b = policy_of(b, pcr);
  if (in_a == nullptr && in_b == nullptr)
    return;
  pcr_difference d;
  d.pcr = pcr;
  if (in_a != nullptr)
    d.a = in_a->form;
  if (in_b != nullptr)
    d.b = in_b->form;
  const auto& pa = in_a == nullptr ? none : *in_a;
  const auto& pb = in_b == nullptr ? none : *in_b;
  d.events = d.a == pcr_form::set || d.b == pcr_form::set ? events_of_sets(pa, pb)
                                                          : events_in_order(pa, pb);
  d.values_only_a = only_in(pa.values, pb.values);
  d.values_only_b = only_in(pb.values, pa.values);
  if (d.a != d.b || !d.events.empty() || !d.values_only_a.empty() || !d.values_only_b.empty())
    out.push_back(std::move(d));
}

std::vector<std::string> hex_of(const std::vector<bytes>& list) {
  std::vector<std::string> out;
  for (const auto& x : list)
    out.push_back(crypto::hex(x));
  return out;
}

std::vector<std::string> text_of(const std::vector<ima_file>& files) {
  std::vector<std::string> out;
  for (const auto& f : files)
    for (const auto& d : f.digests)
      out.push_back(f.path + " " + crypto::hex(d));
  return out;
}

std::vector<std::string> signers_of(const ima_policy& p) {
  std::vector<std::string> out;
  for (const auto& der : p.signers)
    out.push_back("SHA-256 of the public key " + crypto::hex(crypto::sha256(der)));
  return out;
}

/// Goes through the members of both.
class comparison {
public:
  void member(const std::string& name, const std::string& a, const std::string& b) {
    if (a != b)
      out.members.push_back({name, a, b});
  }
  void list(const std::string& name, const std::vector<std::string>& a,
            const std::vector<std::string>& b) {
    list_difference d{name, only_in(a, b), only_in(b, a)};
    if (!d.only_a.empty() || !d.only_b.empty())
      out.lists.push_back(std::move(d));
  }
  image_difference out;
};

std::string yes_or_no(bool x) {
  return x ? "true" : "false";
}

bj::array shown(const std::vector<std::string>& list) {
  bj::array out;
  for (const auto& x : list) {
    if (out.size() == shown_differences_max) {
      out.emplace_back("and " + std::to_string(list.size() - shown_differences_max) + " more");
      break;
    }
    out.emplace_back(x);
  }
  return out;
}

bj::object pcr_json(const pcr_difference& d) {
  bj::object out{{"pcr", d.pcr},
                 {"a", d.a ? to_string(*d.a) : "not judged"},
                 {"b", d.b ? to_string(*d.b) : "not judged"}};
  bj::array events;
  for (const auto& e : d.events) {
    if (events.size() == shown_differences_max) {
      out["events_left_out"] = d.events.size() - shown_differences_max;
      break;
    }
    events.emplace_back(bj::object{{"only_in", e.in_a ? "a" : "b"},
                                   {"type", eventlog::type_text(e.event.type)},
                                   {"digest", crypto::hex(e.event.digest)},
                                   {"hint", e.event.hint}});
  }
  if (!events.empty())
    out["events"] = std::move(events);
  if (!d.values_only_a.empty())
    out["values_only_in_a"] = shown(hex_of(d.values_only_a));
  if (!d.values_only_b.empty())
    out["values_only_in_b"] = shown(hex_of(d.values_only_b));
  return out;
}

} // namespace

image_difference diff(const base_image& a, const base_image& b) {
  comparison c;
  c.member("version", a.version, b.version);
  c.member("bank", a.bank, b.bank);
  c.member("audit_only", yes_or_no(a.audit_only), yes_or_no(b.audit_only));
  const auto state = [](const std::optional<secure_boot_demand>& d) {
    return !d ? "not demanded" : d->enabled ? "on" : "off";
  };
  c.member("secure_boot", state(a.secure_boot), state(b.secure_boot));
  const auto sa = a.secure_boot.value_or(secure_boot_demand{});
  const auto sb = b.secure_boot.value_or(secure_boot_demand{});
  c.list("secure_boot/authorities", hex_of(sa.authorities), hex_of(sb.authorities));
  c.list("secure_boot/revoked", hex_of(sa.revoked), hex_of(sb.revoked));
  const auto demanded = [](const auto& ima) { return ima ? "demanded" : "not demanded"; };
  c.member("ima", demanded(a.ima), demanded(b.ima));
  const auto ia = a.ima.value_or(ima_policy{});
  const auto ib = b.ima.value_or(ima_policy{});
  c.list("ima/files", text_of(ia.files), text_of(ib.files));
  c.list("ima/buffers", text_of(ia.buffers), text_of(ib.buffers));
  c.list("ima/signers", signers_of(ia), signers_of(ib));
  c.list("ima/ignored", ia.ignored, ib.ignored);
  for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
    compare_pcr(pcr, a, b, c.out.pcrs);
  return std::move(c.out);
}

bj::object json_of(const image_difference& x) {
  bj::object out{{"same", x.none()}};
  if (!x.members.empty()) {
    auto& members = out["members"].emplace_array();
    for (const auto& m : x.members)
      members.emplace_back(bj::object{{"member", m.member}, {"a", m.a}, {"b", m.b}});
  }
  if (!x.pcrs.empty()) {
    auto& pcrs = out["pcrs"].emplace_array();
    for (const auto& p : x.pcrs)
      pcrs.emplace_back(pcr_json(p));
  }
  if (!x.lists.empty()) {
    auto& lists = out["lists"].emplace_array();
    for (const auto& l : x.lists)
      lists.emplace_back(bj::object{
          {"member", l.member}, {"only_in_a", shown(l.only_a)}, {"only_in_b", shown(l.only_b)}});
  }
  return out;
}

} // namespace custos::attestation
