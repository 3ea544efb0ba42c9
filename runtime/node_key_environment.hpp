#pragma once
// What the environment of a process says about the node key, and what people are told of it.

#include "cluster/node_key.hpp"

#include <string>
#include <string_view>

namespace custos::runtime {

inline constexpr std::string_view key_file_warning =
    "the node key is a file beside the store: who has this disk, or a copy of the data directory, "
    "has every secret of the cluster. Keep it in a TPM, a systemd credential or a passphrase: "
    "custos cluster rotate-node-key";

/// With the credentials that systemd gave to this process (systemd.exec(5)).
cluster::node_key_access node_key_access_of(const std::string& tcti,
                                            const std::string& passphrase_file);

} // namespace custos::runtime
