// The work of goroutines.lua in Go, for comparison: goroutines NAME prints "bench NAME NUMBER".
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func batch(n int) {
	results := make([]int, n)
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		i := i
		go func() {
			results[i] = i
			wg.Done()
		}()
	}
	wg.Wait()
	if results[n-1] != n-1 {
		panic("a result is missing")
	}
}

func createBatches(n int) {
	for i := 0; i < n/1000; i++ {
		batch(1000)
	}
}

func yield(n int) {
	var wg sync.WaitGroup
	wg.Add(2)
	for g := 0; g < 2; g++ {
		go func() {
			for i := 0; i < n/2; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
}

func pingPong(n int) {
	there, back := make(chan int), make(chan int)
	go func() {
		for i := 0; i < n; i++ {
			back <- <-there
		}
	}()
	for i := 0; i < n; i++ {
		there <- i
		<-back
	}
}

func messages(capacity int) func(int) {
	return func(n int) {
		channel, sum := make(chan int, capacity), 0
		go func() {
			for i := 1; i <= n; i++ {
				channel <- i
			}
			close(channel)
		}()
		for value := range channel {
			sum += value
		}
		if sum != n*(n+1)/2 {
			panic("a message is missing")
		}
	}
}

func asyncAwait(n int) {
	for i := 0; i < n; i++ {
		i := i
		result := make(chan int, 1)
		go func() { result <- i }()
		if <-result != i {
			panic("a wrong result")
		}
	}
}

func mutex(n int) {
	var lock sync.Mutex
	var wg sync.WaitGroup
	count := 0
	wg.Add(8)
	for g := 0; g < 8; g++ {
		go func() {
			for i := 0; i < n/8; i++ {
				lock.Lock()
				count++
				runtime.Gosched()
				lock.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	if count != n {
		panic("a count is missing")
	}
}

func selectReady(n int) {
	a, b := make(chan int, 1), make(chan int, 1)
	for i := 0; i < n; i++ {
		a <- i
		select {
		case <-a:
		case <-b:
		}
	}
}

func selectBlocking(n int) {
	a, b := make(chan int), make(chan int)
	go func() {
		for i := 0; i < n/2; i++ {
			a <- i
			b <- i
		}
	}()
	for i := 0; i < n; i++ {
		select {
		case <-a:
		case <-b:
		}
	}
}

func timeout(n int) {
	count := 0
	for i := 0; i < n; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		done := make(chan struct{})
		go func() {
			count++
			close(done)
		}()
		select {
		case <-done:
		case <-ctx.Done():
			panic("too late")
		}
		cancel()
	}
	if count != n {
		panic("a call is missing")
	}
}

func pool(workers int) func(int) {
	return func(n int) {
		jobs := make(chan func(), 1024)
		var done int64
		var wg sync.WaitGroup
		wg.Add(workers)
		for w := 0; w < workers; w++ {
			go func() {
				for job := range jobs {
					job()
				}
				wg.Done()
			}()
		}
		for i := 0; i < n; i++ {
			jobs <- func() { atomic.AddInt64(&done, 1) }
		}
		close(jobs)
		wg.Wait()
		if done != int64(n) {
			panic("a job is missing")
		}
	}
}

func sleepers(n int) {
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			time.Sleep(10 * time.Millisecond)
			wg.Done()
		}()
	}
	wg.Wait()
}

func residentKB() (kb int) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") {
			fmt.Sscanf(line, "VmRSS: %d", &kb)
		}
	}
	return kb
}

func memory(n int) float64 {
	gate := make(chan int)
	var sum int64
	var started, ended sync.WaitGroup
	started.Add(n)
	ended.Add(n)
	runtime.GC()
	before := residentKB()
	for i := 1; i <= n; i++ {
		i := i
		go func() {
			started.Done()
			<-gate
			atomic.AddInt64(&sum, int64(i))
			ended.Done()
		}()
	}
	started.Wait()
	runtime.Gosched()
	after := residentKB()
	close(gate)
	ended.Wait()
	return float64(after-before) * 1024 / float64(n)
}

// n operations, a tenth of them before as a warm-up; nanoseconds of one.
func each(n int, run func(int)) float64 {
	run(n / 10)
	start := time.Now()
	run(n)
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// Milliseconds of n operations, cold.
func all(n int, run func(int)) float64 {
	start := time.Now()
	run(n)
	return float64(time.Since(start).Microseconds()) / 1000
}

func main() {
	rows := map[string]func() float64{
		"create_batches":  func() float64 { return each(1000000, createBatches) },
		"create_live":     func() float64 { return each(100000, batch) },
		"yield":           func() float64 { return each(2000000, yield) },
		"ping_pong":       func() float64 { return each(500000, pingPong) },
		"one_way":         func() float64 { return each(1000000, messages(0)) },
		"buffered":        func() float64 { return each(5000000, messages(1024)) },
		"async_await":     func() float64 { return each(500000, asyncAwait) },
		"mutex":           func() float64 { return each(800000, mutex) },
		"select_ready":    func() float64 { return each(1000000, selectReady) },
		"select_blocking": func() float64 { return each(500000, selectBlocking) },
		"timeout":         func() float64 { return each(300000, timeout) },
		"pool":            func() float64 { return each(500000, pool(4)) },
		"pool_10000":      func() float64 { return all(10000, pool(10)) },
		"sleepers":        func() float64 { return all(100000, sleepers) },
		"memory_100k":     func() float64 { return memory(100000) },
		"memory_1m":       func() float64 { return memory(990000) },
	}
	if len(os.Args) != 2 || rows[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: goroutines ROW")
		os.Exit(2)
	}
	fmt.Printf("bench %s %.3f\n", os.Args[1], rows[os.Args[1]]())
}
