// 32 float32 numbers to an MXFP4 block: one scale code and 32 element codes. Combinational.
module mxfp4_quantize (
    input  wire [1023:0] numbers,  // number i is numbers[32*i +: 32]
    output wire [7:0]    scale,
    output wire [127:0]  codes     // code i is codes[4*i +: 4]
);
    e8m0_scale select (.numbers(numbers), .scale(scale));

    genvar lane;
    generate
        for (lane = 0; lane < 32; lane = lane + 1) begin : element
            e2m1_encode encode (
                .number(numbers[32*lane +: 32]),
                .scale(scale),
                .code(codes[4*lane +: 4])
            );
        end
    endgenerate
endmodule
