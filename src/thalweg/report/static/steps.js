/** The two passes, one gate at a time: first every value, then every gradient from the output back. */

export function stepsOf(graph) {
  const forwardAt = new Map();
  const backwardAt = new Map();
  const events = [];
  for (const node of graph.nodes) {
    forwardAt.set(node.id, events.length);
    events.push({ node: node.id, pass: "forward" });
  }
  for (const node of [...graph.nodes].reverse()) {
    if (node.upstream === null) continue;
    backwardAt.set(node.id, events.length);
    events.push({ node: node.id, pass: "backward" });
  }
  return {
    count: events.length,
    event: (step) => (step ? events[step - 1] : null),
    hasValue: (step, id) => step === null || forwardAt.get(id) < step,
    hasGradient: (step, id) => step === null || (backwardAt.get(id) ?? Infinity) < step,
  };
}
