#include "cluster/link/link.hpp"

#include "adapters/crypto/crypto.hpp"
#include "cluster/link/hub.hpp"

namespace custos::cluster::link {

namespace {

class linked_node final : public node_link {
public:
  explicit linked_node(std::shared_ptr<hub> h) : hub_(std::move(h)) {}
  // A lock that fails here ends the process, as it should.
  // NOLINTNEXTLINE(bugprone-exception-escape)
  ~linked_node() override { hub_->stop(); }
  linked_node(const linked_node&) = delete;
  linked_node& operator=(const linked_node&) = delete;

  void start() override { hub_->start(); }
  [[nodiscard]] std::uint16_t port() const override { return hub_->port(); }
  result<void> set_members(std::vector<link_member> members) override {
    return hub_->set_members(std::move(members));
  }
  result<void> set_identity(const link_identity& identity) override {
    return hub_->set_identity(identity);
  }
  result<void> send(const std::string& peer, byte_view frame) override {
    return hub_->send(peer, frame);
  }
  [[nodiscard]] std::vector<link_status> status() const override { return hub_->status(); }
  [[nodiscard]] link_counters counters() const override { return hub_->counters(); }
  [[nodiscard]] std::string incarnation() const override {
    return crypto::hex(hub_->own().process);
  }
  void stop() override { hub_->stop(); }

private:
  std::shared_ptr<hub> hub_;
};

result<hello> own_hello(const link_identity& identity) {
  hello own;
  const auto id = crypto::from_hex(identity.cluster_id);
  if (!id || id->size() != own.cluster.size())
    return field_error(errc::invalid_argument, "cluster_id", "expected 32 hex digits");
  std::copy(id->begin(), id->end(), own.cluster.begin());
  const auto random = crypto::random_bytes(own.process.size());
  std::copy(random.begin(), random.end(), own.process.begin());
  own.node = identity.node;
  own.program_version = CUSTOS_VERSION;
  if (!is_node_name(own.node))
    return field_error(errc::invalid_argument, "node", "expected the name of a node");
  return own;
}

} // namespace

link_identity identity_of(const cluster_keys& keys, const node_identity& node) {
  return {keys.cluster_id, node.name, node.certificate, node.tls_key, {keys.ca_certificate}};
}

result<std::unique_ptr<node_link>> node_link::listen(http::io_pool& pool, link_identity identity,
                                                     link_options options, link_events events,
                                                     clock_source now) {
  CUSTOS_TRY(auto own, own_hello(identity));
  CUSTOS_TRY(auto tls, tls_identity::make(identity, now));
  auto made = std::make_shared<hub>(pool.context(), std::move(own), std::move(options),
                                    std::move(events), std::move(now), std::move(tls));
  CUSTOS_CHECK(made->bind());
  return std::unique_ptr<node_link>(std::make_unique<linked_node>(std::move(made)));
}

} // namespace custos::cluster::link
