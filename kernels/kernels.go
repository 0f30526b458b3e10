// Package kernels defines what executors do: train populations of networks.
//
// A [Variant] is a network with its hyper-parameters. A [Population] is a set
// of variants that train on one data set, each at its own pace, and may differ
// in everything; a single network is a population of one. An [Inference] is a
// network that was trained. An [Executor] prepares both for its hardware:
// package ref is the definition, tape runs Gorgonia's own machine, cpu is the
// fast one. Package device opens them by name.
//
// What all executors share is here, once: the random numbers of initial
// weights and sample order, the optimizers, the step-size schedules, and the
// loop that drives executors on the host.
package kernels
