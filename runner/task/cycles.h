// Cycles of a directed graph, as the paths a person needs to see to break them.
//
// Thread-safe: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sloth {

// edges[i] lists the nodes that node i points to, all below edges.size(), no doubles.
using Edges = std::vector<std::vector<std::uint32_t>>;

// Different cycles, at most `limit`, such that every edge which lies on some cycle is part of at least one
// of them (up to the limit: a graph may have exponentially many cycles). Each starts at its lowest node,
// which is not repeated at the end; a self-edge is a cycle of one. The result depends on nothing but the
// arguments. O(limit * (V + E)): components by Tarjan (1972), then a shortest way back per edge not covered.
std::vector<std::vector<std::uint32_t>> find_cycles(const Edges& edges, std::size_t limit);

}  // namespace sloth
