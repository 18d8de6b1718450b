// Who is this? Finds the member who holds a phone number, registers one when there is none, and binds an account to it.
//
// onboard ADDRESS KEY_FILE PHONE PLATFORM UNIONID
// Run it as often as you like, and from several places at once: the outcome is one member who holds both.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"muster.example/onboard/client"
	muster "muster.example/onboard/stubs/muster/v1"
)

const changedMax = 5

func findOrRegister(ctx context.Context, members muster.MemberServiceClient, phone string) (*muster.Member, error) {
	resolve := &muster.ResolveMemberRequest{Kind: "phone", Value: phone}
	member, err := members.ResolveMember(ctx, resolve)
	if client.Reason(err) != "IDENTITY_NOT_FOUND" {
		return member, err
	}
	identities := []*muster.Identity{{Kind: "phone", Value: phone}}
	member, err = members.RegisterMember(ctx, &muster.RegisterMemberRequest{Member: &muster.Member{Identities: identities}})
	if client.Reason(err) == "IDENTITY_TAKEN" { // somebody was faster, which is just as well
		return members.ResolveMember(ctx, resolve)
	}
	return member, err
}

// Binding what the member holds already changes nothing, so a repetition is harmless.
func bind(ctx context.Context, members muster.MemberServiceClient, member *muster.Member,
	identity *muster.Identity) (*muster.Member, error) {
	for range changedMax {
		bound, err := members.BindIdentity(ctx, &muster.BindIdentityRequest{
			Id: member.Id, Identity: identity, ExpectedVersion: member.Version})
		if client.Reason(err) != "VERSION_MISMATCH" {
			return bound, err
		}
		if member, err = members.GetMember(ctx, &muster.GetMemberRequest{Id: member.Id}); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the member changes faster than this can follow")
}

func run(address, keyFile, phone, platform, unionid string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	// On one machine; what leaves it goes through a proxy with TLS.
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(client.Interceptor(strings.TrimSpace(string(key)), client.NewBudget())))
	if err != nil {
		return err
	}
	defer connection.Close()
	members, ctx := muster.NewMemberServiceClient(connection), context.Background()

	member, err := findOrRegister(ctx, members, phone)
	if err != nil {
		return err
	}
	member, err = bind(ctx, members, member, &muster.Identity{Kind: "unionid", Platform: platform, Value: unionid})
	if err != nil {
		return err
	}
	// At least as new as what was just written, whoever answers.
	member, err = members.GetMember(ctx, &muster.GetMemberRequest{Id: member.Id, MinVersion: member.Version})
	if err != nil {
		return err
	}
	var kinds []string
	for _, identity := range member.Identities {
		kinds = append(kinds, identity.Kind)
	}
	sort.Strings(kinds)
	fmt.Printf("member %d holds %s\n", member.Id, strings.Join(kinds, ", "))
	return nil
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: onboard ADDRESS KEY_FILE PHONE PLATFORM UNIONID")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", client.Reason(err), err)
		os.Exit(1)
	}
}
