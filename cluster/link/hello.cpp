#include "cluster/link/hello.hpp"

#include <algorithm>
#include <cassert>

namespace custos::cluster::link {

namespace {

constexpr std::string_view magic = "CUSTOSLN";

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_program_version(std::string_view text) {
  return !text.empty() && text.size() <= program_version_bytes_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void put_number(bytes& out, std::uint16_t n) {
  out.push_back(static_cast<std::uint8_t>(n >> 8U));
  out.push_back(static_cast<std::uint8_t>(n & 0xffU));
}

void put_text(bytes& out, std::string_view text) {
  out.push_back(static_cast<std::uint8_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
}

/// Reads from the front of octets that may end anywhere.
class cursor {
public:
  explicit cursor(byte_view octets) : rest_(octets) {}

  result<byte_view> take(std::size_t n, std::string_view field) {
    if (rest_.size() < n)
      return field_error(errc::malformed, std::string(field), "hello: ends within this field");
    const auto out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  result<std::uint16_t> number(std::string_view field) {
    CUSTOS_TRY(const auto two, take(2, field));
    return static_cast<std::uint16_t>((unsigned{two[0]} << 8U) | unsigned{two[1]});
  }
  template <std::size_t N>
  result<std::array<std::uint8_t, N>> array(std::string_view field) {
    CUSTOS_TRY(const auto octets, take(N, field));
    std::array<std::uint8_t, N> out{};
    std::copy(octets.begin(), octets.end(), out.begin());
    return out;
  }
  result<std::string> text(std::string_view field) {
    CUSTOS_TRY(const auto size, take(1, field));
    CUSTOS_TRY(const auto octets, take(size[0], field));
    return std::string(as_text(octets));
  }

private:
  byte_view rest_;
};

struct refusal_text {
  std::string_view check;
  errc code;
  std::string_view text;
};

refusal_text describe(refusal_reason reason) {
  switch (reason) {
  case refusal_reason::other_cluster:
    return {"link-other-cluster", errc::forbidden, "the two belong to different clusters"};
  case refusal_reason::version:
    return {"link-version", errc::unsupported, "no version of the link protocol is common to both"};
  case refusal_reason::name_differs:
    return {"link-name-differs", errc::unauthenticated,
            "hello, certificate and the member at that address do not name one node"};
  case refusal_reason::ourselves:
    return {"link-ourselves", errc::invalid_argument, "the address leads to the node that dials"};
  case refusal_reason::identity_in_use:
    return {"link-identity-in-use", errc::already_exists,
            "another living process has the identity of this node: a copied data directory?"};
  case refusal_reason::not_a_member:
    return {"link-not-a-member", errc::forbidden, "the membership does not have that node"};
  case refusal_reason::certificate:
    return {"link-certificate", errc::unauthenticated,
            "the membership has another certificate for that node"};
  case refusal_reason::duplicate:
    return {"link-duplicate", errc::already_exists, "the two nodes have a link already"};
  case refusal_reason::protocol:
    return {"link-protocol", errc::malformed, "the protocol was not kept"};
  case refusal_reason::stopping:
    return {"link-stopping", errc::unavailable, "the node is being stopped"};
  }
  return {"link-refused", errc::forbidden, "for a reason that this version does not know"};
}

} // namespace

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= node_name_bytes_max && is_letter_or_digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
         });
}

bytes write_hello(const hello& h) {
  assert(is_node_name(h.node) && is_program_version(h.program_version));
  bytes out = to_bytes(magic);
  put_number(out, h.version_min);
  put_number(out, h.version_max);
  out.insert(out.end(), h.cluster.begin(), h.cluster.end());
  out.insert(out.end(), h.process.begin(), h.process.end());
  put_text(out, h.node);
  put_text(out, h.program_version);
  return out;
}

result<hello> read_hello(byte_view content) {
  if (content.size() > control_bytes_max)
    return field_error(errc::too_large, "hello", "hello: expected at most 512 octets");
  cursor in(content);
  CUSTOS_TRY(const auto start, in.take(magic.size(), "magic"));
  if (as_text(start) != magic)
    return field_error(errc::malformed, "magic", "hello: expected that of the Custos link");
  hello out;
  CUSTOS_TRY(out.version_min, in.number("version_min"));
  CUSTOS_TRY(out.version_max, in.number("version_max"));
  if (out.version_min == 0 || out.version_min > out.version_max)
    return field_error(errc::malformed, "version_max", "hello: expected versions from 1 upwards");
  CUSTOS_TRY(out.cluster, in.array<cluster_id_bytes>("cluster"));
  CUSTOS_TRY(out.process, in.array<incarnation_bytes>("incarnation"));
  CUSTOS_TRY(out.node, in.text("node"));
  if (!is_node_name(out.node))
    return field_error(errc::malformed, "node", "hello: expected the name of a node");
  CUSTOS_TRY(out.program_version, in.text("program_version"));
  if (!is_program_version(out.program_version))
    return field_error(errc::malformed, "program_version",
                       "hello: expected 1-32 printable characters");
  return out;
}

std::string_view check_of(refusal_reason reason) {
  return describe(reason).check;
}

error refusal_error(refusal_reason reason, std::string_view peer, bool by_peer) {
  const auto d = describe(reason);
  std::string message = by_peer ? "refused by node " : "node ";
  message.append(peer).append(by_peer ? ": " : " is refused: ").append(d.text);
  error e = make_error(d.code, std::move(message));
  e.check = d.check;
  return e;
}

error read_refusal(std::uint8_t reason, std::string_view peer) {
  return refusal_error(static_cast<refusal_reason>(reason), peer, true);
}

hello_verdict judge_hello(const hello& own, const hello& theirs, const expected_peer& expected) {
  const auto refuse = [](refusal_reason reason) { return hello_verdict{0, reason}; };
  if (theirs.cluster != own.cluster)
    return refuse(refusal_reason::other_cluster);
  const auto version = std::min(own.version_max, theirs.version_max);
  if (version < own.version_min || version < theirs.version_min)
    return refuse(refusal_reason::version);
  if (theirs.node != expected.certificate_name)
    return refuse(refusal_reason::name_differs);
  if (theirs.process == own.process)
    return refuse(refusal_reason::ourselves);
  if (theirs.node == own.node)
    return refuse(refusal_reason::identity_in_use);
  if (!expected.dialled.empty() && theirs.node != expected.dialled)
    return refuse(refusal_reason::name_differs);
  return {version, std::nullopt};
}

} // namespace custos::cluster::link
