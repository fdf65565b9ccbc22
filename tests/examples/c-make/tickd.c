#include <arpa/inet.h>
#include <sys/socket.h>

#define PORT 7000

int main(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    bind(s, (struct sockaddr *)&a, sizeof a);
    return listen(s, 8);
}
