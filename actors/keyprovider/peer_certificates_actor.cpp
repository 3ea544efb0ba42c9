#include "actors/keyprovider/peer_certificates_actor.hpp"

#include "messages/caf_error.hpp"

#include <algorithm>
#include <utility>

namespace custos::keyprovider {

namespace {

class peer_collector : public peer_collector_api::base {
public:
  peer_collector(caf::actor_config& cfg, std::vector<key_server> servers,
                 peer_certificates_reader read, std::chrono::seconds budget)
      : peer_collector_api::base(cfg), servers_(std::move(servers)), read_(std::move(read)),
        budget_(budget) {
    set_default_handler(caf::drop);
  }

  const char* name() const override { return "peer_collector"; }

  peer_collector_api::behavior_type make_behavior() override {
    return {
        [this](const get_peer_certificates&) -> caf::result<std::vector<peer_certificate>> {
          promise_ = make_response_promise<std::vector<peer_certificate>>();
          begin();
          return promise_;
        },
        [this](const peer_certificate& read) {
          const auto place = std::find_if(found_.begin(), found_.end(), [&read](const auto& f) {
            return f.server == read.server;
          });
          if (place == found_.end() || !place->error.empty() || !place->pem.empty())
            return;
          *place = read;
          if (--missing_ == 0)
            finish();
        },
        [this](const tick&) {
          for (auto& entry : found_)
            if (entry.pem.empty() && entry.error.empty())
              entry.error = "the server did not answer in time";
          finish();
        },
    };
  }

private:
  void begin() {
    missing_ = servers_.size();
    if (missing_ == 0)
      return finish();
    for (const auto& server : servers_)
      found_.push_back({server.name, {}, {}});
    delayed_send(this, budget_, tick{});
    const auto self = caf::actor_cast<peer_collector_api>(this);
    for (const auto& server : servers_)
      read_(server, [self, name = server.name](result<std::string> chain) {
        peer_certificate read{name, {}, {}};
        if (chain)
          read.pem = *std::move(chain);
        else
          read.error = chain.failure().message;
        if (read.pem.empty() && read.error.empty())
          read.error = "the server presented no certificate";
        caf::anon_send(self, std::move(read));
      });
  }

  void finish() {
    promise_.deliver(std::move(found_));
    quit();
  }

  std::vector<key_server> servers_;
  peer_certificates_reader read_;
  std::chrono::seconds budget_;
  caf::typed_response_promise<std::vector<peer_certificate>> promise_;
  std::vector<peer_certificate> found_;
  std::size_t missing_ = 0;
};

} // namespace

peer_collector_api spawn_peer_collector(caf::actor_system& system, std::vector<key_server> servers,
                                        peer_certificates_reader read,
                                        std::chrono::seconds budget) {
  return system.spawn<peer_collector>(std::move(servers), std::move(read), budget);
}

} // namespace custos::keyprovider
