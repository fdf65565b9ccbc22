// Counts visits in a database that lies beside the program.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"

	bolt "go.etcd.io/bbolt"
)

func main() {
	addr := flag.String("addr", ":"+port(), "address to listen on, such as :9000")
	flag.Parse()
	db, err := bolt.Open("visits.db", 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		greeting, err := os.ReadFile("greeting.txt")
		if err == nil {
			err = db.Update(func(tx *bolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists([]byte("visits"))
				if err != nil {
					return err
				}
				count, err := bucket.NextSequence()
				fmt.Fprintf(w, "%s, visit %d", greeting, count)
				if err != nil {
					return err
				}
				return bucket.Put([]byte("last"), binary.BigEndian.AppendUint64(nil, count))
			})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	log.Fatal(http.ListenAndServe(*addr, nil))
}

func port() string {
	if port := os.Getenv("PORT"); port != "" {
		return port
	}
	return "8080"
}
