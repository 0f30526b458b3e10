//go:build amd64 && !purego

package cpu

import x86 "golang.org/x/sys/cpu"

//go:generate rm -f dense_amd64.s dense_amd64.go
//go:generate go run -C _asm . -out ../dense_amd64.s -stubs ../dense_amd64.go -pkg cpu

// available lists the sets that this processor runs, the fastest first.
func available() []*routines {
	sets := []*routines{&portable}
	if x := &x86.X86; x.HasAVX2 && x.HasFMA && x.HasBMI1 && x.HasPOPCNT {
		sets = append([]*routines{&avx2}, sets...)
		if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL {
			sets = append([]*routines{&avx512}, sets...)
		}
	}
	return sets
}

// hotDensity is of both sets, whose arithmetic is one.
const hotDensity = 0.46

var avx2 = routines{
	name: "AVX2", multiplyPanels: 1, accumulatePanels: 1, recordPanels: 1, hotDensity: hotDensity,
	setControl: setControl, fetch: fetch,
	products: products{multiply: multiplyAVX2, accumulate: accumulateAVX2, columnSums: columnSumsAVX2,
		gather: gatherAVX2, scatter: scatterAVX2},
	half: products{multiply: multiplyAVX2Half, accumulate: accumulateAVX2Half, columnSums: columnSumsAVX2Half,
		gather: gatherAVX2Half, scatter: scatterAVX2Half},
	transpose: transposeAVX2, scale: scaleAVX2, encode: encodeAVX2, convert: convertAVX2,
	sigmoid: sigmoidAVX2, tanh: tanhAVX2, relu: reluAVX2, leakyReLU: leakyReLUAVX2,
	softplus: softplusAVX2, silu: siluAVX2, geluTanh: geluTanhAVX2, softsign: softsignAVX2,
	sigmoidBackward: sigmoidBackwardAVX2, tanhBackward: tanhBackwardAVX2,
	rectifyBackward: rectifyBackwardAVX2, rectifyAtZeroBackward: rectifyAtZeroBackwardAVX2,
	softplusBackward: softplusBackwardAVX2, siluBackward: siluBackwardAVX2,
	geluTanhBackward: geluTanhBackwardAVX2, softsignBackward: softsignBackwardAVX2,
	softmax: softmaxAVX2,
	descend: descendAVX2, momentum: momentumAVX2, nesterov: nesterovAVX2, adam: adamAVX2,
	ceiling: ceilingAVX2, ceilingSums: 12 * 8,
	maps: mapRoutines{neg: mapNegAVX2, abs: mapAbsAVX2, sqrt: mapSqrtAVX2, inv: mapInvAVX2, exp: mapExpAVX2,
		add: mapAddAVX2, sub: mapSubAVX2, mul: mapMulAVX2, div: mapDivAVX2, gt: mapGtAVX2, ge: mapGeAVX2, lt: mapLtAVX2, le: mapLeAVX2,
		mulAdd: mapMulAddAVX2, mulSub: mapMulSubAVX2},
	rowSums: rowSumsAVX2,
}

// A register of AVX-512 is a whole panel: half of one would be no faster.
var productsAVX512 = products{multiply: multiplyAVX512, accumulate: accumulateAVX512, columnSums: columnSumsAVX512,
	gather: gatherAVX512, scatter: scatterAVX512}

var avx512 = routines{
	name: "AVX-512", multiplyPanels: 2, accumulatePanels: 3, recordPanels: 4, hotDensity: hotDensity,
	setControl: setControl, fetch: fetch,
	products: productsAVX512, half: productsAVX512,
	transpose: transposeAVX512, scale: scaleAVX512, encode: encodeAVX2, convert: convertAVX512,
	sigmoid: sigmoidAVX512, tanh: tanhAVX512, relu: reluAVX512, leakyReLU: leakyReLUAVX512,
	softplus: softplusAVX512, silu: siluAVX512, geluTanh: geluTanhAVX512, softsign: softsignAVX512,
	sigmoidBackward: sigmoidBackwardAVX512, tanhBackward: tanhBackwardAVX512,
	rectifyBackward: rectifyBackwardAVX512, rectifyAtZeroBackward: rectifyAtZeroBackwardAVX512,
	softplusBackward: softplusBackwardAVX512, siluBackward: siluBackwardAVX512,
	geluTanhBackward: geluTanhBackwardAVX512, softsignBackward: softsignBackwardAVX512,
	softmax: softmaxAVX512,
	descend: descendAVX512, momentum: momentumAVX512, nesterov: nesterovAVX512, adam: adamAVX512,
	ceiling: ceilingAVX512, ceilingSums: 12 * 16,
	maps: mapRoutines{neg: mapNegAVX512, abs: mapAbsAVX512, sqrt: mapSqrtAVX512, inv: mapInvAVX512, exp: mapExpAVX512,
		add: mapAddAVX512, sub: mapSubAVX512, mul: mapMulAVX512, div: mapDivAVX512, gt: mapGtAVX512, ge: mapGeAVX512, lt: mapLtAVX512, le: mapLeAVX512,
		mulAdd: mapMulAddAVX512, mulSub: mapMulSubAVX512},
	rowSums: rowSumsAVX512,
}
